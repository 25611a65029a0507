// What an update does to /etc, told before it happens: what was changed here, what the next image changes, and where
// the two meet. libostree's merge keeps what was changed here; nothing is lost, since the image's own file is at
// /usr/etc.
#pragma once
#include <string>
#include <vector>

namespace updater {

struct EtcChange {
    std::string path;   ///< below /etc, without a leading slash
    std::string change; ///< "added", "modified" or "removed"
    bool operator==(const EtcChange&) const = default;
};

struct EtcReport {
    std::vector<EtcChange> here;        ///< on this host, against the image that runs
    std::vector<EtcChange> there;       ///< in the next image, against the one that runs
    std::vector<std::string> conflicts; ///< changed on both sides, and not to the same
    std::vector<std::string> accounts; ///< what the merge of passwd, group, shadow, gshadow by name did or could not do
    std::vector<std::string> blocked;  ///< why the merge cannot be made at all
};

} // namespace updater
