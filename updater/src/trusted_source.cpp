#include "updater/trusted_source.hpp"

#include <ctime>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/signed_text.hpp"

namespace updater {

TrustedSource::TrustedSource(const Paths& paths, Remote remote, std::vector<std::string> host_keys)
    : paths_(paths), remote_(std::move(remote)), host_keys_(std::move(host_keys)),
      state_(TrustState::load(paths.trust_file())), trust_(load_trust(paths, host_keys_, state_.key_set)) {}

void TrustedSource::remember(const TrustState& next) {
    if (next == state_)
        return;
    next.save(paths_.trust_file());
    state_ = next;
}

void TrustedSource::follow_keys() {
    for (unsigned count = 0; count < max_rotations; ++count) {
        const std::string path = key_set_path(trust_.version + 1);
        const std::optional<std::string> file = remote_.fetch_if_there(path, KeySet::max_bytes);
        if (!file)
            return;
        const KeySet set = require_successor(trust_, *file, path);
        TrustState next = state_;
        next.key_set = *file;
        remember(next);
        trust_ = load_trust(paths_, host_keys_, state_.key_set);
        base::log_notice("key set {}: {} key(s), of which {} have to sign", set.version, set.keys.size(),
                         set.threshold);
    }
}

Channel TrustedSource::channel(const std::string& stream, std::int64_t booted_timestamp) {
    const std::string path = channel_path(stream);
    const base::SignedText file = base::SignedText::parse(remote_.fetch(path, Channel::max_bytes), "channel", path);
    trust_.require(file.message(), file.signatures, path);
    Channel channel = Channel::parse(file.text, path);
    ChannelFacts facts;
    facts.stream = stream;
    facts.clock = std::time(nullptr);
    facts.floor = std::max(booted_timestamp, state_.time);
    if (const auto seen = state_.issued.find(stream); seen != state_.issued.end())
        facts.last_issued = seen->second;
    TrustState next = state_;
    next.time = require_usable(channel, facts);
    next.issued[stream] = channel.issued;
    remember(next);
    return channel;
}

} // namespace updater
