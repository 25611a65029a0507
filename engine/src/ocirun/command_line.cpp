#include "ocirun/command_line.hpp"

#include <charconv>

#include "base/cli.hpp"

namespace ocirun {

namespace {

const Option* find_long(const std::vector<Option>& options, std::string_view name) {
    for (const Option& option : options)
        if (option.name == name)
            return &option;
    return nullptr;
}

const Option* find_short(const std::vector<Option>& options, char letter) {
    for (const Option& option : options)
        if (option.letter == letter)
            return &option;
    return nullptr;
}

} // namespace

Arguments::Arguments(const std::vector<Option>& options, const std::vector<std::string>& words,
                     std::string_view where) {
    std::size_t at = 0;
    const auto value_of = [&](const std::string& word) {
        if (++at == words.size())
            throw base::UsageError("option " + word + " needs a value");
        return words[at];
    };
    for (; at < words.size(); ++at) {
        const std::string& word = words[at];
        if (word == "--") {
            ++at;
            break;
        }
        if (word.size() < 2 || word.front() != '-')
            break;
        const bool long_form = word[1] == '-';
        const std::size_t equals = word.find('=');
        // "-pid-file" is accepted for "--pid-file": containerd's and old scripts' Go style.
        const std::string_view name = std::string_view(word).substr(long_form ? 2 : 1, equals - (long_form ? 2 : 1));
        const Option* option = find_long(options, name);
        if (option == nullptr && !long_form && name.size() == 1)
            option = find_short(options, name.front());
        if (option == nullptr)
            throw base::UsageError(std::string(where) + ": unknown option " + word);
        if (!option->value.empty()) {
            given_.emplace_back(option->name, equals != std::string::npos ? word.substr(equals + 1) : value_of(word));
            continue;
        }
        // "--flag=false", as Go's flags have it.
        const std::string value = equals == std::string::npos ? "true" : word.substr(equals + 1);
        if (value != "true" && value != "false")
            throw base::UsageError("option " + word + " is a flag: true or false");
        if (value == "true")
            given_.emplace_back(option->name, value);
    }
    rest_.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
}

bool Arguments::has(std::string_view name) const {
    return std::any_of(given_.begin(), given_.end(), [&](const auto& entry) { return entry.first == name; });
}

std::string Arguments::get(std::string_view name) const {
    for (auto entry = given_.rbegin(); entry != given_.rend(); ++entry)
        if (entry->first == name)
            return entry->second;
    return {};
}

std::vector<std::string> Arguments::all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : given_)
        if (key == name)
            values.push_back(value);
    return values;
}

unsigned Arguments::number(std::string_view name) const {
    const std::string text = get(name);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!text.empty() && (error != std::errc{} || end != text.data() + text.size() || value > 1000))
        throw base::UsageError("option --" + std::string(name) + ": \"" + text + "\" is no number up to 1000");
    return value;
}

std::string help_of(const std::vector<Option>& options) {
    std::string text;
    for (const Option& option : options) {
        std::string left = option.letter != 0 ? std::string("  -") + option.letter + ", --" : "      --";
        left += option.name;
        if (!option.value.empty())
            left.append(" ").append(option.value);
        left.resize(std::max<std::size_t>(left.size() + 1, 34), ' ');
        text.append(left).append(option.help).append("\n");
    }
    return text;
}

} // namespace ocirun
