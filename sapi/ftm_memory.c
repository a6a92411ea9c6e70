/* Memory of a context that has nothing to do (DESIGN 3: cold contexts give theirs back). */
#include "ftm_worker.h"
#include "zend_alloc_sizes.h"

#include <sys/mman.h>

void ftm_thread_trim(void)
{
    if (!is_zend_mm()) {
        return;
    }
    if (FTM_G(worker_state) != FTM_WORKER_NONE) { /* its script lives there */
        zend_mm_gc(zend_mm_get_heap());
        return;
    }
    /* The heap keeps as many chunks as its last requests needed on average. Each of these counts as a small request. */
    for (int i = 0; i < 8; i++) {
        zend_mm_shutdown(zend_mm_get_heap(), false, true);
    }
    /* The heap lives in the first page of its first chunk; between two requests the rest of that chunk is free. */
    char *chunk = (char *)((uintptr_t)zend_mm_get_heap() & ~(ZEND_MM_CHUNK_SIZE - 1));
    size_t first_page = ZEND_MM_FIRST_PAGE * ZEND_MM_PAGE_SIZE;
    madvise(chunk + first_page, ZEND_MM_CHUNK_SIZE - first_page, MADV_DONTNEED);
}
