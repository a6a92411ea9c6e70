#include "resolution_rows.hpp"

namespace ftm::php::testing {
namespace {

// The cases of php-src's sapi/fpm/tests/fcgi-env-*.phpt. There DOCUMENT_ROOT is the directory of the tests.
TEST(ResolveScript, cases_of_php_src)
{
    const std::string file = "/w/pi.php";
    const std::string name = "/pi.php";
    const std::string fcgi = "proxy:fcgi://127.0.0.1:9000";
    const std::string balancer = "proxy:balancer://127.0.0.1:9000";
    struct Case {
        const char* name;
        ScriptSettings settings;
        std::string script_filename;  // "": not sent
        std::string script_name;
        std::string path_info;        // "": not sent
        std::string path_translated;  // "": not sent
        Pairs expected;               // in $_SERVER; "-": unset
        std::string request_uri;
    };
    const ScriptSettings fix;
    const Case cases[] = {
        {"nopif-apache-handler-with-pi-with-pt-pd",
         kNoFixDiscard,
         fcgi + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-with-pt-pd",
         kNoFixDiscard,
         file,
         name,
         "/pinfo",
         "/w",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-with-pt",
         kNoFix,
         file + "/pinfo",
         name,
         "/pinfo",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file + "/pinfo"}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-with-pi-without-pt",
         kNoFix,
         file,
         name,
         "/pinfo",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"nopif-custom-without-pi-with-pt",
         kNoFix,
         file + "/pinfo",
         name,
         "",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file + "/pinfo"}, {"PATH_INFO", kNone}},
         name},
        {"nopif-custom-without-pi-without-pt",
         kNoFix,
         file,
         name,
         "",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", kNone}},
         name},
        {"nopif-custom-without-sf-with-pt",
         kNoFixDiscard,
         "",
         name,
         "/pinfo",
         file,
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", kNone}, {"PATH_INFO", "/pinfo"}},
         "/pinfo"},
        {"pif-apache-balancer-legacy",
         fix,
         balancer + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-balancer-real",
         fix,
         file + "/pinfo",
         "",
         file + "/pinfo",
         "proxy:balancer://myappcluster/w" + file + "/pinfo/w" + file + "/pinfo",
         {{"SCRIPT_NAME", file}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         file},
        {"pif-apache-handler-uds",
         fix,
         "proxy:fcgi://localhost" + file,
         name,
         "",
         "",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", kNone}},
         name},
        {"pif-apache-handler-with-pi",
         fix,
         fcgi + file,
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-handler-with-query",
         fix,
         fcgi + file + "?q=1",
         name,
         "/pinfo",
         "/w/pinfo",
         {{"SCRIPT_NAME", name}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-pp-sn-strip-basic",
         fix,
         fcgi + file + "/pinfo",
         name + "/pinfo",
         "",
         "",
         {{"SCRIPT_NAME", name},
          {"ORIG_SCRIPT_NAME", name + "/pinfo"},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/pinfo"}},
         name},
        {"pif-apache-pp-sn-strip-encoded-plus",
         fix,
         fcgi + file + "/1%20+2",
         name + "/1 +2",
         "",
         "",
         {{"SCRIPT_NAME", name},
          {"ORIG_SCRIPT_NAME", name + "/1 +2"},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/1 +2"}},
         name},
        {"pif-apache-pp-sn-strip-encoded",
         fix,
         fcgi + file + "/1%202",
         name + "/1 2",
         "",
         "",
         {{"SCRIPT_NAME", name}, {"ORIG_SCRIPT_NAME", name + "/1 2"}, {"SCRIPT_FILENAME", file}, {"PATH_INFO", "/1 2"}},
         name},
        {"pif-apache-pp-sn-strip-invalid",
         fix,
         fcgi + file + "/pinfoy",
         name + "/pinfox",
         "",
         "",
         {{"SCRIPT_NAME", name + "/pinfox"},
          {"ORIG_SCRIPT_NAME", kNone},
          {"SCRIPT_FILENAME", file},
          {"PATH_INFO", "/pinfoy"}},
         name + "/pinfox"},
    };
    for (const Case& c : cases) {
        for (const bool with_document_root : {true, false}) {  // pif-apache-handler-without-docroot
            SCOPED_TRACE(c.name);
            ParamTable params;
            params.set("REQUEST_METHOD", "GET");
            if (!c.script_filename.empty()) {
                params.set("SCRIPT_FILENAME", c.script_filename);
            }
            params.set("SCRIPT_NAME", c.script_name);
            if (with_document_root) {
                params.set("DOCUMENT_ROOT", "/w");
            }
            if (!c.path_info.empty()) {
                params.set("PATH_INFO", c.path_info);
            }
            if (!c.path_translated.empty()) {
                params.set("PATH_TRANSLATED", c.path_translated);
            }
            Files files{{file}, {"/w"}};
            const ResolvedScript script = resolve_script(params, c.settings, files.probe());
            EXPECT_EQ(text(script.path_translated), file);
            EXPECT_EQ(text(script.request_uri), c.request_uri);
            for (const auto& [key, value] : c.expected) {
                EXPECT_EQ(text(params.value_z(key)).value_or(kNone), value) << key;
            }
        }
    }
}

}  // namespace
}  // namespace ftm::php::testing
