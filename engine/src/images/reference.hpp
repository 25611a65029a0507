// Image references as docker writes them: [domain/]path[:tag][@sha256:digest].
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace engine {

/// A normalised reference: "busybox" is docker.io/library/busybox:latest.
struct Reference {
    std::string domain; ///< "docker.io"
    std::string path;   ///< "library/busybox"
    std::string tag;    ///< "latest"; empty when only a digest was given
    std::string digest; ///< "sha256:..." or empty

    /// "docker.io/library/busybox"
    std::string name() const { return domain + "/" + path; }
    /// "docker.io/library/busybox:latest"; the key of the image index. Empty without a tag.
    std::string tagged() const { return tag.empty() ? std::string() : name() + ":" + tag; }
    /// What docker shows: "busybox" for docker.io/library/busybox, "user/image" for docker.io/user/image.
    std::string familiar_name() const;
    /// "busybox:latest"
    std::string familiar() const;
};

/// Follows the grammar of distribution's reference package: components of lower-case letters and digits with single
/// '.', '_', '__' or dashes between, a name of at most 255 bytes, a tag of at most 128. A first component is a domain
/// when it has a '.' or ':' or an upper-case letter, or is "localhost". Without tag and digest the tag is "latest".
/// nullopt for anything else, and for 64 hexadecimal digits, which are an image id.
std::optional<Reference> parse_reference(std::string_view text);

/// As `parse_reference`, but throws base::Error "invalid reference format: TEXT".
Reference require_reference(std::string_view text);

/// True for "sha256:" and 64 lower-case hexadecimal digits.
bool is_digest(std::string_view text) noexcept;

/// The 64 digits of a digest; throws base::Error when it is none.
std::string digest_hex(std::string_view digest);

} // namespace engine
