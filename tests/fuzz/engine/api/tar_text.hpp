// Fuzz inputs as text: a line is an entry of a tar, so that mutations reach our code and not only the format's checks.
//   TYPE|name|link|content|pax key|pax value
#pragma once
#include "tar_builder.hpp"

namespace fuzz {

inline std::string_view take(std::string_view& text, char end) {
    const std::size_t at = std::min(text.find(end), text.size());
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return part;
}

inline std::string tar_of(std::string_view text) {
    test::TarBuilder tar;
    while (!text.empty()) {
        std::string_view line = take(text, '\n');
        const std::string_view type = take(line, '|');
        test::TarEntry entry{.name = std::string(take(line, '|').substr(0, 99)), .type = type.empty() ? '0' : type[0]};
        entry.link = take(line, '|').substr(0, 99);
        entry.content = take(line, '|');
        // No node of a real device is to be made by a fuzzer.
        if (entry.type == '4')
            entry.type = '3';
        const std::string_view key = take(line, '|');
        if (!key.empty())
            entry.pax.emplace(key, line);
        tar.add(entry);
    }
    return tar.build();
}

} // namespace fuzz
