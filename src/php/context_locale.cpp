// setlocale() for contexts: the calling thread gets a locale of its own (uselocale), the process keeps "C".
#include <langinfo.h>
#include <locale.h>

#include <dlfcn.h>

#include <string>

#include "php/context_environment.hpp"

namespace {

struct Category {
    int number;
    int mask;
    const char* name;
};
constexpr Category kCategories[] = {
    {LC_CTYPE, LC_CTYPE_MASK, "LC_CTYPE"},       {LC_NUMERIC, LC_NUMERIC_MASK, "LC_NUMERIC"},
    {LC_TIME, LC_TIME_MASK, "LC_TIME"},          {LC_COLLATE, LC_COLLATE_MASK, "LC_COLLATE"},
    {LC_MONETARY, LC_MONETARY_MASK, "LC_MONETARY"}, {LC_MESSAGES, LC_MESSAGES_MASK, "LC_MESSAGES"},
};

thread_local locale_t own_locale = nullptr;
thread_local std::string name_buffer;

const char* category_name(locale_t locale, int category) noexcept
{
    return ::nl_langinfo_l(_NL_LOCALE_NAME(category), locale);
}

char* query(int category)
{
    const locale_t locale = own_locale;
    if (category != LC_ALL) {
        return const_cast<char*>(category_name(locale, category));
    }
    bool same = true;
    std::string all;
    for (const Category& c : kCategories) {
        const std::string name = category_name(locale, c.number);
        same = same && name == category_name(locale, LC_CTYPE);
        all += (all.empty() ? "" : ";") + std::string(c.name) + "=" + name;
    }
    name_buffer = same ? category_name(locale, LC_CTYPE) : all;
    return name_buffer.data();
}

// "LC_CTYPE=a;LC_NUMERIC=b": what query() gave, category by category.
locale_t from_composite(const std::string& composite, locale_t base)
{
    for (const Category& c : kCategories) {
        const std::string key = std::string(c.name) + "=";
        const std::size_t at = composite.find(key);
        if (at == std::string::npos) {
            continue;
        }
        const std::size_t begin = at + key.size();
        const std::string name = composite.substr(begin, composite.find(';', begin) - begin);
        const locale_t made = ::newlocale(c.mask, name.c_str(), base);
        if (made == nullptr) {
            ::freelocale(base);
            return nullptr;
        }
        base = made;
    }
    return base;
}

}  // namespace

namespace ftm::php {

void reset_context_locale() noexcept
{
    reset_context_messages();
    if (own_locale != nullptr) {
        ::uselocale(LC_GLOBAL_LOCALE);
        ::freelocale(own_locale);
        own_locale = nullptr;
    }
}

}  // namespace ftm::php

extern "C" __attribute__((visibility("default"))) char* setlocale(int category, const char* name) noexcept
{
    using ftm::php::current_context;
    static const auto real = reinterpret_cast<char* (*)(int, const char*)>(::dlsym(RTLD_NEXT, "setlocale"));
    if (current_context() < 0 || (name == nullptr && own_locale == nullptr)) {
        return current_context() < 0 || name == nullptr ? real(category, name) : nullptr;
    }
    if (name == nullptr) {
        return query(category);
    }
    int mask = 0;
    for (const Category& c : kCategories) {
        mask |= category == LC_ALL || category == c.number ? c.mask : 0;
    }
    if (mask == 0) {
        return nullptr;
    }
    const locale_t base = ::duplocale(own_locale != nullptr ? own_locale : LC_GLOBAL_LOCALE);
    const std::string wanted = name;
    const locale_t made = category == LC_ALL && wanted.find('=') != std::string::npos
                              ? from_composite(wanted, base)
                              : ::newlocale(mask, name, base);
    if (made == nullptr) {
        if (wanted.find('=') == std::string::npos) {
            ::freelocale(base);
        }
        return nullptr;
    }
    ::uselocale(made);
    if (own_locale != nullptr) {
        ::freelocale(own_locale);
    }
    own_locale = made;
    return query(category);
}

// The executable's link pulls this file in by this name: libc's names alone would be satisfied by libc, or by a
// sanitizer's library.
extern "C" {
extern const char ftm_interpose_locale;
const char ftm_interpose_locale = 1;
}
