#include "php/script_resolution.hpp"

#include <strings.h>

#include <cstdlib>
#include <cstring>

#include "php/path_text.hpp"

namespace ftm::php {

namespace {

using request::ParamTable;

// php-fpm's environment holds C strings: a value ends at its first NUL, and NULL means absent.
using CString = const char*;

std::string_view view(CString text) noexcept
{
    return text != nullptr ? std::string_view(text) : std::string_view();
}

bool equal(CString a, CString b) noexcept
{
    return std::strcmp(a, b) == 0;
}

bool starts_with_ignoring_case(CString text, std::string_view prefix) noexcept
{
    return strncasecmp(text, prefix.data(), prefix.size()) == 0;
}

// One resolution. The members without prefix are php-fpm's notion of each parameter now, those in `sent` what it was
// when cgi.fix_pathinfo took over.
class Resolution {
public:
    Resolution(ParamTable& params, const ScriptSettings& settings, const FileProbe& files) noexcept
        : params_(params), settings_(settings), files_(files)
    {
    }

    ResolvedScript run()
    {
        ResolvedScript out;
        out.request_method = get("REQUEST_METHOD");
        script_filename_ = get("SCRIPT_FILENAME");
        path_translated_ = get("PATH_TRANSLATED");
        if (script_filename_ == nullptr && path_translated_ == nullptr) {
            return out;
        }
        // Taken before anything changes, as php-fpm does.
        const CString content_length = get("CONTENT_LENGTH");
        const CString content_type = get("CONTENT_TYPE");
        path_info_ = get("PATH_INFO");
        script_name_ = get("SCRIPT_NAME");

        correct_iis_path_info();
        strip_apache_prefix("proxy:fcgi://");
        strip_apache_prefix("proxy:balancer://");
        script_ = script_filename_ != nullptr ? script_filename_ : path_translated_;
        if (settings_.fix_pathinfo) {
            fix_path_info();
        } else {
            request_uri_ = path_info_ != nullptr ? path_info_ : script_name_;
            if (!settings_.discard_path && path_translated_ != nullptr) {
                script_ = path_translated_;
            }
        }

        out.request_uri = request_uri_;
        out.path_translated = script_ != nullptr && is_valid_path(script_) ? script_ : nullptr;
        out.query_string = get("QUERY_STRING");
        out.content_type = content_type != nullptr ? content_type : "";
        out.content_length = content_length != nullptr ? std::strtol(content_length, nullptr, 10) : 0;
        out.authorization = get("HTTP_AUTHORIZATION");
        out.response_code = response_code_;
        return out;
    }

private:
    CString get(std::string_view name) const noexcept { return params_.value_z(name); }

    // Returns the table's own copy. nullptr deletes.
    CString put(std::string_view name, CString value)
    {
        if (value == nullptr) {
            params_.erase(name);
            return nullptr;
        }
        return params_.set(name, value).data();
    }
    CString put(std::string_view name, std::string_view value) { return params_.set(name, value).data(); }

    void remember(std::string_view orig_name, CString value)
    {
        if (value != nullptr) {
            put(orig_name, value);
        }
    }

    // IIS sends the script's name in front of PATH_INFO.
    void correct_iis_path_info()
    {
        const CString software = get("SERVER_SOFTWARE");
        if (software == nullptr || script_name_ == nullptr || path_info_ == nullptr ||
            !view(software).starts_with("Microsoft-IIS") || !view(path_info_).starts_with(view(script_name_))) {
            return;
        }
        put("ORIG_PATH_INFO", path_info_);
        const CString rest = path_info_ + std::strlen(script_name_);
        path_info_ = put("PATH_INFO", *rest != '\0' ? rest : nullptr);
    }

    // mod_proxy_fcgi sends "proxy:fcgi://host:port/path?query" as SCRIPT_FILENAME. Without a path the prefix stays.
    void strip_apache_prefix(std::string_view prefix)
    {
        if (script_filename_ == nullptr || !starts_with_ignoring_case(script_filename_, prefix)) {
            return;
        }
        std::string_view path = script_filename_;
        const std::size_t slash = path.find('/', prefix.size());
        if (slash != std::string_view::npos) {
            path.remove_prefix(slash);
            apache_ = true;
        }
        script_filename_ = put("SCRIPT_FILENAME", path.substr(0, path.find('?')));
    }

    void fix_path_info()
    {
        sent_ = {script_filename_, script_name_, path_info_, path_translated_};
        const CString redirect_url = get("REDIRECT_URL");
        document_root_ = get("DOCUMENT_ROOT");
        if (document_root_ == nullptr && !settings_.doc_root.empty()) {
            document_root_ = put("DOCUMENT_ROOT", settings_.doc_root);
        }
        // Apache's Action handler: SCRIPT_* name the PHP program, PATH_TRANSLATED the script.
        if (!apache_ && path_translated_ != nullptr && redirect_url != nullptr && !equal(path_translated_, script_)) {
            script_ = path_translated_;
            script_name_ = redirect_url;
        }

        const std::string_view path = view(script_);
        if (!path.empty() && (path.back() == '/' || !files_.exists(script_, files_.context))) {
            split_script();
        } else {
            keep_script(redirect_url);
        }
    }

    // The script exists as sent.
    void keep_script(CString redirect_url)
    {
        if (sent_.script_filename == nullptr || !equal(script_, sent_.script_filename)) {
            remember("ORIG_SCRIPT_FILENAME", sent_.script_filename);
            script_ = put("SCRIPT_FILENAME", script_);
        }
        if (!apache_ && redirect_url != nullptr) {
            if (sent_.path_info != nullptr) {
                put("ORIG_PATH_INFO", sent_.path_info);
                params_.erase("PATH_INFO");
            }
            if (sent_.path_translated != nullptr) {
                put("ORIG_PATH_TRANSLATED", sent_.path_translated);
                params_.erase("PATH_TRANSLATED");
            }
        }
        if (script_name_ != sent_.script_name) {
            remember("ORIG_SCRIPT_NAME", sent_.script_name);
            script_name_ = put("SCRIPT_NAME", script_name_);
        }
        request_uri_ = script_name_;
    }

    // The script does not exist: the longest parent that is a regular file is it, the rest is PATH_INFO.
    void split_script()
    {
        std::string file = script_;
        const std::size_t whole_length = file.size();
        bool found = false;
        while (!found && cut_last_component(file)) {
            found = files_.is_regular_file(file.c_str(), files_.context);
        }
        if (found) {
            use_path_info(whole_length - file.size());
            use_file(file);
            derive_path_translated(file);
        } else {
            remember("ORIG_SCRIPT_FILENAME", sent_.script_filename);
            params_.erase("SCRIPT_FILENAME");
            script_ = nullptr;
            response_code_ = 404;
        }
        if (request_uri_ == nullptr) {
            replace_script_name(script_name_);
        }
    }

    static bool cut_last_component(std::string& path)
    {
        std::size_t at = path.rfind('/');
        if (at == std::string::npos) {
            at = path.rfind('\\');
        }
        if (at == std::string::npos) {
            return false;
        }
        path.resize(at);
        return true;
    }

    // tail_length: how much of the script's path lies behind the file.
    void use_path_info(std::size_t tail_length)
    {
        const std::string_view sent_info = view(path_info_);
        if (apache_) {
            const std::string_view script = view(script_);
            const CString tail = script_ + (script.size() - tail_length);
            if (path_info_ != nullptr && equal(path_info_, tail)) {
                return;
            }
            if (path_info_ != nullptr) {
                // php-fpm cuts SCRIPT_FILENAME here and takes PATH_INFO, as sent, for SCRIPT_NAME.
                put("ORIG_PATH_INFO", path_info_);
                replace_script_name(path_info_);
                path_info_ = put("PATH_INFO", tail);
                return;
            }
            use_apache_tail(tail);
        } else if (path_info_ != nullptr && sent_info.size() > tail_length) {
            // Without PATH_INFO, or with one that has no room for a script's name, nothing is split off.
            const std::string name(sent_info.substr(0, sent_info.size() - tail_length));
            const CString tail = path_info_ + name.size();
            put("ORIG_PATH_INFO", path_info_);
            replace_script_name(name.c_str());
            path_info_ = put("PATH_INFO", tail);
        }
    }

    // mod_proxy_fcgi with ProxyPass sets no PATH_INFO: what was split off is also at the end of SCRIPT_NAME, either
    // as it stands in the URL or decoded.
    void use_apache_tail(CString tail)
    {
        const bool encoded = script_name_ != nullptr && view(tail).find('%') != std::string_view::npos;
        const std::string decoded = encoded ? raw_url_decode(tail) : std::string();
        if (script_name_ != nullptr) {
            const std::string_view name = script_name_;
            std::size_t cut = 0;
            if (name.size() > view(tail).size() && name.ends_with(tail)) {
                cut = view(tail).size();
            } else if (encoded && name.size() > decoded.size() && name.ends_with(decoded)) {
                cut = decoded.size();
            }
            if (cut != 0) {
                put("ORIG_SCRIPT_NAME", sent_.script_name);
                script_name_ = put("SCRIPT_NAME", name.substr(0, name.size() - cut));
                request_uri_ = script_name_;
            }
        }
        path_info_ = put("PATH_INFO", encoded ? decoded.c_str() : tail);
    }

    void use_file(const std::string& file)
    {
        if (sent_.script_filename == nullptr || sent_.script_filename != file) {
            remember("ORIG_SCRIPT_FILENAME", sent_.script_filename);
            script_ = put("SCRIPT_FILENAME", file.c_str());
        }
    }

    // PATH_TRANSLATED is PATH_INFO as a file below the document root, which is guessed if it was not sent.
    void derive_path_translated(const std::string& file)
    {
        std::string translated;
        if (document_root_ != nullptr) {
            translated = document_root_;
            if (translated.ends_with('/')) {
                translated.pop_back();
            }
        } else if (script_name_ != nullptr && file.find(script_name_) != std::string::npos) {
            translated = file.substr(0, file.size() - std::strlen(script_name_));
        } else {
            return;
        }
        translated += view(path_info_);
        remember("ORIG_PATH_TRANSLATED", sent_.path_translated);
        put("PATH_TRANSLATED", translated.c_str());
    }

    void replace_script_name(CString name)
    {
        if (sent_.script_name == nullptr || !equal(sent_.script_name, name)) {
            remember("ORIG_SCRIPT_NAME", sent_.script_name);
            request_uri_ = put("SCRIPT_NAME", name);
        } else {
            request_uri_ = sent_.script_name;
        }
    }

    struct Sent {
        CString script_filename = nullptr;
        CString script_name = nullptr;
        CString path_info = nullptr;
        CString path_translated = nullptr;
    };

    ParamTable& params_;
    const ScriptSettings& settings_;
    const FileProbe& files_;

    CString script_ = nullptr;  // what will run
    CString script_filename_ = nullptr;
    CString script_name_ = nullptr;
    CString path_info_ = nullptr;
    CString path_translated_ = nullptr;
    CString document_root_ = nullptr;
    CString request_uri_ = nullptr;
    Sent sent_;
    bool apache_ = false;
    int response_code_ = 200;
};

}  // namespace

ResolvedScript resolve_script(ParamTable& params, const ScriptSettings& settings, const FileProbe& files)
{
    return Resolution(params, settings, files).run();
}

}  // namespace ftm::php
