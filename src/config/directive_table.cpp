#include "config/directive_table.hpp"

#include <algorithm>
#include <type_traits>

#include "config/text.hpp"

namespace ftm::config {
namespace {

template <class>
struct OwnerOf;
template <class Owner, class Field>
struct OwnerOf<Field Owner::*> {
    using type = Owner;
};

template <auto Member>
auto& field_of(void* owner)
{
    return static_cast<typename OwnerOf<decltype(Member)>::type*>(owner)->*Member;
}

template <auto Member>
const auto& field_of(const void* owner)
{
    return static_cast<const typename OwnerOf<decltype(Member)>::type*>(owner)->*Member;
}

enum Flags : unsigned {
    acting = 1U,
    no_effect = 0U,
    own = 2U,
    not_dumped = 4U,
};

// A directive with one value, kept in Member.
template <auto Member, class Value>
constexpr Directive one(std::string_view name, std::string_view default_text, unsigned flags, std::string_view help)
{
    using Owner = typename OwnerOf<decltype(Member)>::type;
    return {
        .section = std::is_same_v<Owner, Global> ? Section::global : Section::pool,
        .name = name,
        .type = Value::kName,
        .default_text = default_text,
        .is_array = false,
        .has_key = false,
        .expands_pool = std::is_same_v<Value, StringValue>,
        .acting = (flags & acting) != 0,
        .own = (flags & own) != 0,
        .dumped = (flags & not_dumped) == 0,
        .help = help,
        .parse = [](void* owner, const std::string&,
                    const std::string& value) { return Value::parse(value, field_of<Member>(owner)); },
        .show =
            [](const void* owner, std::string_view shown_name, std::vector<std::string>& lines) {
                lines.push_back(std::string(shown_name) + " = " + Value::show(field_of<Member>(owner)));
            },
    };
}

struct Array {
    std::string_view name;
    const char* type;
    bool has_key;
    bool expands_pool;
    unsigned flags;
    std::string_view help;
    ValueError (*parse)(void* owner, const std::string& key, const std::string& value);
    void (*show)(const void* owner, std::string_view name, std::vector<std::string>& lines);
};

constexpr Directive many(const Array& row)
{
    return {
        .section = Section::pool,
        .name = row.name,
        .type = row.type,
        .default_text = {},
        .is_array = true,
        .has_key = row.has_key,
        .expands_pool = row.expands_pool,
        .acting = (row.flags & acting) != 0,
        .own = (row.flags & own) != 0,
        .dumped = (row.flags & not_dumped) == 0,
        .help = row.help,
        .parse = row.parse,
        .show = row.show,
    };
}

// A list without keys; the last line of the file comes first.
template <std::vector<std::string> Pool::*Member>
ValueError parse_list(void* owner, const std::string&, const std::string& value)
{
    std::vector<std::string>& list = field_of<Member>(owner);
    list.insert(list.begin(), value);
    return nullptr;
}

template <std::vector<std::string> Pool::*Member>
void show_list(const void* owner, std::string_view name, std::vector<std::string>& lines)
{
    for (const std::string& value : field_of<Member>(owner)) {
        lines.push_back(std::string(name) + "[] = " + value);
    }
}

ValueError parse_env(void* owner, const std::string& key, const std::string& value)
{
    std::vector<KeyValue>& env = field_of<&Pool::env>(owner);
    env.insert(env.begin(), {key, value});
    return nullptr;
}

void show_env(const void* owner, std::string_view name, std::vector<std::string>& lines)
{
    for (const KeyValue& entry : field_of<&Pool::env>(owner)) {
        lines.push_back(std::string(name) + "[" + entry.key + "] = " + entry.value);
    }
}

// Before the entries of its kind that are there already; admin entries after all others.
template <bool Admin>
ValueError parse_php_value(void* owner, const std::string& key, const std::string& value)
{
    std::vector<PhpValue>& values = field_of<&Pool::php_values>(owner);
    auto position = values.begin();
    if (Admin) {
        position = std::find_if(values.begin(), values.end(), [](const PhpValue& entry) { return entry.admin; });
    }
    values.insert(position, {key, value, Admin});
    return nullptr;
}

template <bool Admin>
ValueError parse_php_flag(void* owner, const std::string& key, const std::string& value)
{
    bool flag = false;
    if (const ValueError error = BooleanValue::parse(value, flag)) {
        return error;
    }
    return parse_php_value<Admin>(owner, key, flag ? "1" : "0");
}

template <bool Admin>
void show_php_values(const void* owner, std::string_view name, std::vector<std::string>& lines)
{
    for (const PhpValue& entry : field_of<&Pool::php_values>(owner)) {
        if (entry.admin == Admin) {
            lines.push_back(std::string(name) + "[" + entry.key + "] = " + entry.value);
        }
    }
}

constexpr auto kDirectives = std::to_array<Directive>({
#include "config/directives.inc"
});

}  // namespace

std::span<const Directive> directives() { return kDirectives; }

const Directive* find_directive(Section section, std::string_view name)
{
    const auto found = std::find_if(kDirectives.begin(), kDirectives.end(), [&](const Directive& directive) {
        return directive.section == section && !directive.is_array && equals_ignoring_case(directive.name, name);
    });
    return found == kDirectives.end() ? nullptr : &*found;
}

const Directive* find_array_directive(std::string_view name)
{
    const auto found = std::find_if(kDirectives.begin(), kDirectives.end(), [&](const Directive& directive) {
        return directive.is_array && directive.name == name;
    });
    return found == kDirectives.end() ? nullptr : &*found;
}

}  // namespace ftm::config
