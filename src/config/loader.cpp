#include "config/loader.hpp"

#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/unique_fd.hpp"
#include "config/directive_table.hpp"
#include "config/ini_stream.hpp"
#include "config/text.hpp"

namespace ftm::config {
namespace {

constexpr int kDeepestInclude = 5;

class Loader {
public:
    explicit Loader(const LoadOptions& options) : options_(options) {}

    LoadResult load()
    {
        LoadResult result;
        if (load_file(options_.file)) {
            result.config = std::move(config_);
        } else {
            error("failed to load configuration file '" + options_.file + "'");
        }
        result.messages = std::move(messages_);
        return result;
    }

private:
    // The place a message speaks of: php-fpm counts on where an included file stopped; here each file counts its own.
    struct Place {
        std::string file;
        int line = 0;
    };

    bool load_file(const std::string& file)
    {
        if (file.empty()) {
            error("configuration filename is empty");
            return false;
        }
        const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd) {
            const int number = errno;
            error(system_error("failed to open configuration file '" + file + "'", number));
            return false;
        }
        if (depth_ >= kDeepestInclude) {
            error("failed to include more than 5 files recursively");
            return false;
        }
        ++depth_;
        Place outer = std::exchange(place_, Place{file, 0});
        const std::string text = read_all(fd.get());
        IniStream stream(text, options_.lookups,
                         {.next_line =
                              [this](int line) {
                                  if (!failed_ && include_) {
                                      include(*std::exchange(include_, std::nullopt));
                                  }
                                  place_.line = line;
                                  return !failed_;
                              },
                          .statement =
                              [this](const Statement& statement) {
                                  if (!failed_) {
                                      act_on(statement);
                                  }
                              },
                          .syntax_error =
                              [this](const std::string& text_of_error) {
                                  messages_.push_back({LogLevel::error, "PHP:  " + text_of_error, /*raw=*/true});
                                  failed_ = true;
                              }});
        stream.run();
        place_ = std::move(outer);
        --depth_;
        return !failed_;
    }

    static std::string read_all(int fd)
    {
        std::string text;
        char buffer[16384];
        ssize_t got = 0;
        // A directory opens but cannot be read: as in php-fpm, that is an empty file.
        while ((got = ::read(fd, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)) {
            if (got > 0) {
                text.append(buffer, static_cast<std::size_t>(got));
            }
        }
        return text;
    }

    void include(const std::string& value)
    {
        const std::string pattern = starts_with_slash(value) ? value : options_.include_prefix + "/" + value;
        const Place from = place_;
        const std::string where = " from " + from.file + " at line " + std::to_string(from.line);
        glob_t matches{};
        const int status = ::glob(pattern.c_str(), GLOB_ERR | GLOB_MARK, nullptr, &matches);
        if (status == GLOB_NOMATCH) {
            messages_.push_back(
                {LogLevel::warning, "Nothing matches the include pattern '" + pattern + "'" + where + "."});
        } else if (status != 0) {
            error("Unable to globalize '" + pattern + "' (ret=" + std::to_string(status) + ")" + where + ".");
            failed_ = true;
        }
        for (std::size_t i = 0; status == 0 && i < matches.gl_pathc && !failed_; ++i) {
            const std::string file = matches.gl_pathv[i];
            if (file.empty() || file.back() == '/') {
                continue;
            }
            if (!load_file(file)) {
                error("Unable to include " + file + where);
                failed_ = true;
            }
        }
        ::globfree(&matches);
    }

    void act_on(const Statement& statement)
    {
        switch (statement.kind) {
            case Statement::Kind::section:
                enter(statement.name);
                break;
            case Statement::Kind::bare_name:
                error_here("value is NULL for a ZEND_INI_PARSER_ENTRY");
                break;
            case Statement::Kind::entry:
                set(statement);
                break;
            case Statement::Kind::array_entry:
                add(statement);
                break;
        }
    }

    // The section stays current until another one is named, in whichever file.
    void enter(const std::string& name)
    {
        if (equals_ignoring_case(name, "global")) {
            current_.reset();
            return;
        }
        for (std::size_t i = 0; i < config_.pools.size(); ++i) {
            if (equals_ignoring_case(config_.pools[i].name, name)) {
                current_ = i;
                return;
            }
        }
        current_ = config_.pools.size();
        config_.pools.emplace_back().name = name;
    }

    void set(const Statement& statement)
    {
        if (statement.name == "include") {
            if (include_) {
                error_here("two includes at the same time !");
                return;
            }
            include_ = statement.value;
            return;
        }
        const Directive* directive = find_directive(current_ ? Section::pool : Section::global, statement.name);
        if (directive == nullptr) {
            error_here("unknown entry '" + statement.name + "'");
            return;
        }
        if (const ValueError problem = parse(*directive, statement)) {
            error_here("unable to parse value for entry '" + std::string(directive->name) + "': " + problem);
        }
    }

    void add(const Statement& statement)
    {
        const Directive* directive = find_array_directive(statement.name);
        if (directive != nullptr && !directive->has_key) {
            const bool key_given = !statement.key.empty();
            const bool no_path = !starts_with_slash(statement.value);
            if (key_given) {
                error_here("Keys provided to field '" + statement.name + "' are ignored");
            }
            if (no_path && !directive->own) {
                error_here("Values provided to field '" + statement.name + "' must begin with '/'");
            }
            if (failed_) {
                return;
            }
        } else if (statement.key.empty()) {
            error_here("You must provide a key for field '" + statement.name + "'");
            return;
        }
        if (!current_) {
            error_here("Array are not allowed in the global section");
        } else if (directive == nullptr) {
            error_here("unknown directive '" + statement.name + "'");
        } else if (directive->name == "env" && statement.value.empty()) {
            error_here("empty value");
        } else if (const ValueError problem = parse(*directive, statement)) {
            error_here("error while parsing '" + statement.name + "[" + statement.key + "]' : " + problem);
        }
    }

    ValueError parse(const Directive& directive, const Statement& statement)
    {
        std::string value = statement.value;
        if (directive.expands_pool && value.find("$pool") != std::string::npos) {
            if (!current_) {
                return "Can't use '$pool' when the pool is not defined";
            }
            expand_pool_name(value, config_.pools[*current_].name);
        }
        void* owner = current_ ? static_cast<void*>(&config_.pools[*current_]) : &config_.global;
        return directive.parse(owner, statement.key, value);
    }

    static void expand_pool_name(std::string& value, const std::string& name)
    {
        constexpr std::string_view kToken = "$pool";
        for (std::size_t at = value.find(kToken); at != std::string::npos; at = value.find(kToken, at + name.size())) {
            value.replace(at, kToken.size(), name);
        }
    }

    void error(std::string text) { messages_.push_back({LogLevel::error, std::move(text)}); }

    void error_here(const std::string& text)
    {
        error("[" + place_.file + ":" + std::to_string(place_.line) + "] " + text);
        failed_ = true;
    }

    const LoadOptions& options_;
    Config config_;
    Messages messages_;
    Place place_;
    std::optional<std::size_t> current_;  // index of the current pool; none: [global]
    std::optional<std::string> include_;  // read, but the line is not finished yet
    int depth_ = 0;
    bool failed_ = false;
};

}  // namespace

LoadResult load(const LoadOptions& options) { return Loader(options).load(); }

}  // namespace ftm::config
