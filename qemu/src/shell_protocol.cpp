#include "qemu/shell_protocol.hpp"

#include "base/sha256.hpp"

namespace qemu {

void LineBuffer::append(std::string_view bytes) {
    for (const char byte : bytes) {
        if (byte == '\r')
            continue;
        if (dropping_) {
            dropping_ = byte != '\n';
            continue;
        }
        bytes_ += byte;
    }
    const std::size_t last_end = bytes_.rfind('\n');
    const std::size_t open_line = last_end == std::string::npos ? 0 : last_end + 1;
    if (bytes_.size() - open_line > shell_line_limit) {
        bytes_.resize(open_line);
        dropping_ = true;
    }
}

std::optional<std::string> LineBuffer::next() {
    const std::size_t end = bytes_.find('\n');
    if (end == std::string::npos)
        return std::nullopt;
    std::string line = bytes_.substr(0, end);
    bytes_.erase(0, end + 1);
    return line;
}

std::vector<std::string> shell_words(std::string_view line) {
    std::vector<std::string> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        words.emplace_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

std::string shell_encode(std::string_view text) {
    return text.empty() ? "-" : base::base64_encode(text);
}

std::string shell_decode(std::string_view word) {
    return word == "-" ? std::string() : base::base64_decode(word);
}

} // namespace qemu
