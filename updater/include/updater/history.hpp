// What happened, for people: /var/lib/atoll/updater/history.json, an array of the last 200 events, oldest first.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "updater/record.hpp"

namespace updater {

struct HistoryEntry {
    std::int64_t time = 0; ///< seconds since 1970
    std::string event;     ///< "staged", "refused", "finalised", "good", "given up", "rolled back", ...
    Release release;
    std::string detail;
    std::vector<std::string> log = {}; ///< of what failed, its last lines
};

class History {
public:
    static constexpr std::size_t max_entries = 200;
    static constexpr std::size_t max_bytes = 1024 * 1024;
    static constexpr std::size_t max_log = 10; ///< lines of an event, 300 characters each

    explicit History(std::string path);
    /// Appends and writes. A full disk is logged and not thrown: nothing depends on the history.
    void add(std::string_view event, const Release& release, std::string_view detail = {},
             const std::vector<std::string>& log = {}) noexcept;
    const std::vector<HistoryEntry>& entries() const noexcept { return entries_; }
    /// The JSON array.
    std::string text() const;

    static std::vector<HistoryEntry> parse(std::string_view text, const std::string& name);

private:
    std::string path_;
    std::vector<HistoryEntry> entries_;
};

} // namespace updater
