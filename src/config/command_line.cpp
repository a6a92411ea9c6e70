#include "config/command_line.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <string_view>

namespace ftm::config {
namespace {

struct Option {
    char letter;
    bool takes_value;
    std::string_view name;
};

// What has no letter.
constexpr char kPrintConfigDocs = '\1';
constexpr char kPrintGlobalSample = '\2';
constexpr char kPrintPoolSample = '\3';
constexpr char kMistake = '\4';
constexpr char kEnd = '\5';

constexpr std::array<Option, 20> kOptions{{
    {'c', true, "php-ini"},
    {'d', true, "define"},
    {'e', false, "profile-info"},
    {'h', false, "help"},
    {'i', false, "info"},
    {'m', false, "modules"},
    {'n', false, "no-php-ini"},
    {'?', false, "usage"},
    {'v', false, "version"},
    {'y', true, "fpm-config"},
    {'t', false, "test"},
    {'p', true, "prefix"},
    {'g', true, "pid"},
    {'R', false, "allow-to-run-as-root"},
    {'D', false, "daemonize"},
    {'F', false, "nodaemonize"},
    {'O', false, "force-stderr"},
    {kPrintConfigDocs, false, "print-config-docs"},
    {kPrintGlobalSample, false, "print-config-global"},
    {kPrintPoolSample, false, "print-config-pool"},
}};

template <class Predicate>
const Option* find_option(Predicate predicate)
{
    const auto found = std::find_if(kOptions.begin(), kOptions.end(), predicate);
    return found == kOptions.end() ? nullptr : &*found;
}

// Hands out one option at a time. Letters can stand together (-nty FILE); a value follows its option as "-yFILE",
// "-y=FILE", "-y FILE", "--name=FILE" or "--name FILE".
class OptionReader {
public:
    explicit OptionReader(const std::vector<std::string>& arguments) : arguments_(arguments) {}

    struct Found {
        char letter;
        std::string value;
    };

    [[nodiscard]] Found next()
    {
        if (letter_at_ == 0) {
            if (finished() || current().size() < 2 || current()[0] != '-') {
                return {kEnd, {}};
            }
            if (current() == "--") {
                ++index_;
                return {kEnd, {}};
            }
            if (current()[1] == '-') {
                return long_option();
            }
            letter_at_ = 1;
        }
        return short_option();
    }

    [[nodiscard]] bool finished() const { return index_ >= arguments_.size(); }

private:
    [[nodiscard]] const std::string& current() const { return arguments_[index_]; }

    [[nodiscard]] Found long_option()
    {
        const std::string text = arguments_[index_++].substr(2);
        std::size_t equals = text.find('=');
        if (equals + 1 == text.size()) {
            equals = std::string::npos;  // "--name=" is no option
        }
        const std::string_view name = std::string_view(text).substr(0, equals);
        const Option* option = find_option([&](const Option& candidate) { return candidate.name == name; });
        if (option == nullptr) {
            return {kMistake, {}};
        }
        if (!option->takes_value) {
            return {option->letter, {}};
        }
        return equals == std::string::npos ? with_next_argument(*option)
                                           : Found{option->letter, without_equals_sign(text.substr(equals + 1))};
    }

    [[nodiscard]] Found short_option()
    {
        const std::string& text = current();
        const char letter = text[letter_at_++];
        const Option* option = find_option([&](const Option& candidate) { return candidate.letter == letter; });
        const std::string rest = text.substr(letter_at_);
        if (rest.empty() || (option != nullptr && option->takes_value)) {
            ++index_;
            letter_at_ = 0;
        }
        if (option == nullptr || letter < ' ') {
            return {kMistake, {}};
        }
        if (!option->takes_value) {
            return {letter, {}};
        }
        return rest.empty() ? with_next_argument(*option) : Found{letter, without_equals_sign(rest)};
    }

    [[nodiscard]] Found with_next_argument(const Option& option)
    {
        if (finished()) {
            return {kMistake, {}};
        }
        return {option.letter, arguments_[index_++]};
    }

    static std::string without_equals_sign(const std::string& value)
    {
        return !value.empty() && value[0] == '=' ? value.substr(1) : value;
    }

    const std::vector<std::string>& arguments_;
    std::size_t index_ = 1;
    std::size_t letter_at_ = 0;  // within a group of letters; 0: at the start of an argument
};

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments)
{
    CommandLine line;
    OptionReader options(arguments);
    for (;;) {
        OptionReader::Found option = options.next();
        switch (option.letter) {
            case 'c':
                line.ini_path = std::move(option.value);
                break;
            case 'd':
                line.defines.push_back(std::move(option.value));
                break;
            case 'e':
                line.extended_info = true;
                break;
            case 'n':
                line.no_ini = true;
                break;
            case 'y':
                line.config_file = std::move(option.value);
                break;
            case 'p':
                line.prefix = std::move(option.value);
                break;
            case 'g':
                line.pid = std::move(option.value);
                break;
            case 't':
                ++line.test_level;
                break;
            case 'i':
                line.action = CommandLine::Action::information;
                break;
            case 'R':
                line.allow_root = true;
                break;
            case 'D':
                line.daemonize = true;
                break;
            case 'F':
                line.daemonize = false;
                break;
            case 'O':
                line.force_stderr = true;
                break;
            case 'm':
                line.action = CommandLine::Action::modules;
                return line;
            case 'v':
                line.action = CommandLine::Action::version;
                return line;
            case 'h':
            case '?':
                line.action = CommandLine::Action::usage;
                return line;
            case kPrintConfigDocs:
                line.action = CommandLine::Action::print_config_docs;
                return line;
            case kPrintGlobalSample:
                line.action = CommandLine::Action::print_global_sample;
                return line;
            case kPrintPoolSample:
                line.action = CommandLine::Action::print_pool_sample;
                return line;
            case kEnd:
                if (line.action == CommandLine::Action::run && !options.finished()) {
                    line.action = CommandLine::Action::usage_error;
                }
                return line;
            default:
                line.action = CommandLine::Action::usage_error;
                return line;
        }
    }
}

std::string usage_text(const std::string& program, const std::string& default_prefix)
{
    const std::size_t slash = program.rfind('/');
    const std::string name = slash == std::string::npos ? program : program.substr(slash + 1);
    return "Usage: " + name +
           " [-n] [-e] [-h] [-i] [-m] [-v] [-t] [-p <prefix>] [-g <pid>] [-c <file>] [-d foo[=bar]] [-y <file>] [-D] "
           "[-F [-O]]\n"
           "  -c <path>|<file> php.ini file, or the directory that holds it\n"
           "  -n               Read no php.ini at all\n"
           "  -d foo[=bar]     Set php.ini entry foo to 'bar'\n"
           "  -e               Compile extra information for debuggers and profilers\n"
           "  -h               Show this help\n"
           "  -i               Show information about PHP\n"
           "  -m               List the modules\n"
           "  -v               Show the version\n"
           "  -p, --prefix <dir>\n"
           "                   Base directory of relative paths (default: " +
           default_prefix +
           ").\n"
           "  -g, --pid <file>\n"
           "                   PID file, if the configuration names none.\n"
           "  -y, --fpm-config <file>\n"
           "                   Configuration file to use.\n"
           "  -t, --test       Test the configuration and exit; twice: show it as well\n"
           "  -D, --daemonize  Go to the background, whatever the configuration says\n"
           "  -F, --nodaemonize\n"
           "                   Stay in the foreground, whatever the configuration says\n"
           "  -O, --force-stderr\n"
           "                   In the foreground, log to stderr even if it is not a terminal\n"
           "  -R, --allow-to-run-as-root\n"
           "                   Let pools run as root\n";
}

std::string ini_entries(const std::vector<std::string>& defines)
{
    std::string text;
    for (const std::string& define : defines) {
        const std::size_t equals = define.find('=');
        if (equals == std::string::npos) {
            text += define + "=1\n";
            continue;
        }
        const std::string value = define.substr(equals + 1);
        const bool plain = value.empty() || std::isalnum(static_cast<unsigned char>(value[0])) != 0 ||
                           value[0] == '"' || value[0] == '\'';
        text += plain ? define + "\n" : define.substr(0, equals) + "=\"" + value + "\"\n";
    }
    return text;
}

}  // namespace ftm::config
