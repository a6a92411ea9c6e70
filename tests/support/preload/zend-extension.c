/* Loaded as zend_extension: one that was built for a PHP without threads (Zend/zend_extensions.h). */
struct {
    int zend_extension_api_no;
    const char* build_id;
} extension_version_info = {420240924, "API420240924,NTS"};

struct {
    const char *name, *version, *author, *url, *copyright;
    void* functions[32];
} zend_extension_entry = {"Foreign", "1.0", "nobody", "none", "none", {0}};
