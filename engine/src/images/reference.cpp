#include "images/reference.hpp"

#include "base/error.hpp"
#include "base/sha256.hpp"

namespace engine {
namespace {

constexpr std::string_view default_domain = "docker.io";
constexpr std::string_view digest_prefix = "sha256:";
constexpr std::size_t name_limit = 255;
constexpr std::size_t tag_limit = 128;

bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c);
}

/// [a-z0-9]+ separated by one '.', one or two '_', or any number of '-'.
bool is_path_component(std::string_view text) {
    std::size_t i = 0;
    while (true) {
        const std::size_t word = i;
        while (i < text.size() && (is_lower(text[i]) || is_digit(text[i])))
            ++i;
        if (i == word)
            return false;
        if (i == text.size())
            return true;
        const std::size_t start = i;
        while (i < text.size() && text[i] == text[start])
            ++i;
        const std::size_t length = i - start;
        const bool separator =
            (text[start] == '.' && length == 1) || (text[start] == '_' && length <= 2) || text[start] == '-';
        if (!separator)
            return false;
    }
}

bool is_path(std::string_view text) {
    while (true) {
        const std::size_t slash = text.find('/');
        if (!is_path_component(text.substr(0, slash)))
            return false;
        if (slash == std::string_view::npos)
            return true;
        text.remove_prefix(slash + 1);
    }
}

bool is_host_label(std::string_view text) {
    if (text.empty() || text.front() == '-' || text.back() == '-')
        return false;
    return std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
}

/// A host name, an address, or an IPv6 address in brackets, with or without a port.
bool is_domain(std::string_view text) {
    if (!text.empty() && text.front() == '[') {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || end < 3)
            return false;
        const std::string_view address = text.substr(1, end - 1);
        const bool valid = std::all_of(address.begin(), address.end(), [](char c) {
            return is_digit(c) || c == ':' || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        });
        const std::string_view rest = text.substr(end + 1);
        return valid && (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1))));
    }
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos && !is_port(text.substr(colon + 1)))
        return false;
    text = text.substr(0, colon);
    while (true) {
        const std::size_t dot = text.find('.');
        if (!is_host_label(text.substr(0, dot)))
            return false;
        if (dot == std::string_view::npos)
            return true;
        text.remove_prefix(dot + 1);
    }
}

bool is_tag(std::string_view text) {
    if (text.empty() || text.size() > tag_limit || !(is_alnum(text.front()) || text.front() == '_'))
        return false;
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

/// Whether the first of several components names a registry.
bool looks_like_domain(std::string_view text) {
    return text == "localhost" || text.find_first_of(".:[") != std::string_view::npos ||
           std::any_of(text.begin(), text.end(), is_upper);
}

} // namespace

bool is_digest(std::string_view text) noexcept {
    return text.starts_with(digest_prefix) && base::is_sha256_hex(text.substr(digest_prefix.size()));
}

std::string digest_hex(std::string_view digest) {
    if (!is_digest(digest))
        throw base::Error(fmt::format("invalid digest {:?}: expected sha256: and 64 hexadecimal digits", digest));
    return std::string(digest.substr(digest_prefix.size()));
}

std::optional<Reference> parse_reference(std::string_view text) {
    Reference reference;
    if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
        reference.digest = text.substr(at + 1);
        if (!is_digest(reference.digest))
            return std::nullopt;
        text = text.substr(0, at);
    }
    if (base::is_sha256_hex(text))
        return std::nullopt;
    // A colon after the last slash starts the tag; one before it belongs to a port.
    const std::size_t last_slash = text.rfind('/');
    const std::size_t colon = text.find(':', last_slash == std::string_view::npos ? 0 : last_slash);
    if (colon != std::string_view::npos) {
        reference.tag = text.substr(colon + 1);
        if (!is_tag(reference.tag))
            return std::nullopt;
        text = text.substr(0, colon);
    }
    const std::size_t slash = text.find('/');
    if (slash != std::string_view::npos && looks_like_domain(text.substr(0, slash))) {
        reference.domain = text.substr(0, slash);
        reference.path = text.substr(slash + 1);
        if (!is_domain(reference.domain))
            return std::nullopt;
        if (reference.domain == "index.docker.io")
            reference.domain = default_domain;
    } else {
        reference.domain = default_domain;
        reference.path = text;
    }
    if (reference.domain == default_domain && reference.path.find('/') == std::string::npos)
        reference.path.insert(0, "library/");
    if (!is_path(reference.path) || reference.name().size() > name_limit)
        return std::nullopt;
    if (reference.tag.empty() && reference.digest.empty())
        reference.tag = "latest";
    return reference;
}

Reference require_reference(std::string_view text) {
    if (auto reference = parse_reference(text))
        return *std::move(reference);
    throw base::Error(fmt::format("invalid reference format: {:?}", text.substr(0, 300)));
}

std::string Reference::familiar_name() const {
    if (domain != default_domain)
        return name();
    // Only what means the same when it is read again: "library/a/b" is not "a/b", and "docker.io/a.b/c" is not on a.b.
    constexpr std::string_view library = "library/";
    if (path.starts_with(library) && path.find('/', library.size()) == std::string::npos)
        return path.substr(library.size());
    const std::size_t slash = path.find('/');
    return slash != std::string::npos && looks_like_domain(std::string_view(path).substr(0, slash)) ? name() : path;
}

std::string Reference::familiar() const {
    std::string text = familiar_name();
    if (!tag.empty())
        text += ":" + tag;
    if (!digest.empty())
        text += "@" + digest;
    return text;
}

} // namespace engine
