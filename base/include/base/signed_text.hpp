// Text with its ed25519 signatures in one file, so that a server can replace both at once only. A reader checks the
// signatures before it looks at the text: nothing that parses JSON sees what nobody of ours has signed.
//
//   atoll-signed 1 KIND
//   signature BASE64            one line a key, at most 64
//
//   TEXT                        to the end of the file
//
// What is signed is "atoll-signed 1 KIND\n\n" and the text: a signature over one kind of text is none over another,
// nor over a commit.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace base {

struct SignedText {
    static constexpr std::size_t max_signatures = 64;

    std::string kind;                    ///< a word of lower-case letters
    std::vector<std::string> signatures; ///< 64 raw bytes each
    std::string text;

    /// The bytes that a signature is over.
    std::string message() const;
    std::string serialize() const;
    /// Strict: throws Error "NAME: reason" on everything that is not exactly the form above with this kind.
    static SignedText parse(std::string_view file, const std::string& kind, const std::string& name);
};

} // namespace base
