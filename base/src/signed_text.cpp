#include "base/signed_text.hpp"

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace base {

namespace {

constexpr std::string_view signature_word = "signature ";
constexpr std::size_t encoded_size = 88; // 64 bytes, and "==" at the end

std::string first_line(const std::string& kind) {
    return "atoll-signed 1 " + kind + "\n";
}

std::string decode(std::string_view line, const std::string& name) {
    try {
        if (line.size() == encoded_size && line.ends_with("=="))
            return base64_decode(line);
    } catch (const Error&) { // said below
    }
    throw Error(name + ": a signature that is not the base64 of 64 bytes");
}

} // namespace

std::string SignedText::message() const {
    std::string bytes = first_line(kind);
    bytes += '\n';
    bytes += text;
    return bytes;
}

std::string SignedText::serialize() const {
    std::string file = first_line(kind);
    for (const std::string& signature : signatures) {
        file += signature_word;
        file += base64_encode(signature);
        file += '\n';
    }
    file += '\n';
    file += text;
    return file;
}

SignedText SignedText::parse(std::string_view file, const std::string& kind, const std::string& name) {
    const std::string expected = first_line(kind);
    if (!file.starts_with(expected))
        throw Error(
            fmt::format("{}: not a signed file of this kind: it has to begin with 'atoll-signed 1 {}'", name, kind));
    SignedText result;
    result.kind = kind;
    file.remove_prefix(expected.size());
    for (;;) {
        const std::size_t end = file.find('\n');
        if (end == std::string_view::npos)
            throw Error(name + ": no empty line after the signatures");
        std::string_view line = file.substr(0, end);
        file.remove_prefix(end + 1);
        if (line.empty())
            break;
        if (!line.starts_with(signature_word))
            throw Error(name + ": a line that is no signature before the empty line");
        if (result.signatures.size() == max_signatures)
            throw Error(fmt::format("{}: more than {} signatures", name, max_signatures));
        line.remove_prefix(signature_word.size());
        result.signatures.push_back(decode(line, name));
    }
    result.text = file;
    return result;
}

} // namespace base
