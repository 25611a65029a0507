// Signed files of a repository, from the first byte on, and what is in them: also parsed without a signature here.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.hpp"
#include "base/signed_text.hpp"
#include "updater/channel.hpp"
#include "updater/key_set.hpp"
#include "updater/trust_state.hpp"

namespace {

void read_text(std::string_view text) {
    try {
        const updater::Channel channel = updater::Channel::parse(text, "channel");
        if (channel.rollout > 100 || channel.issued > channel.expires)
            __builtin_trap();
        updater::is_in_rollout(channel, text.substr(0, 32));
    } catch (const base::Error&) {
    }
    try {
        const updater::KeySet set = updater::KeySet::parse(text, "keys");
        if (set.threshold == 0 || set.threshold > set.keys.size())
            __builtin_trap();
    } catch (const base::Error&) {
    }
    try {
        const updater::TrustState state = updater::TrustState::parse(text, "trust");
        if (!(updater::TrustState::parse(state.serialize(), "again") == state))
            __builtin_trap();
    } catch (const base::Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    read_text(text);
    for (const char* kind : {"channel", "keys"}) {
        try {
            const base::SignedText file = base::SignedText::parse(text, kind, "file");
            if (file.serialize() != text)
                __builtin_trap(); // two spellings of one file
            read_text(file.text);
        } catch (const base::Error&) {
            continue;
        }
    }
    return 0;
}
