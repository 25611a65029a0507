#include "updater/history.hpp"

#include <ctime>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/log.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

History::History(std::string path) : path_(std::move(path)) {
    const std::optional<std::string> text = base::read_file_if_exists(path_, max_bytes);
    if (!text)
        return;
    try {
        entries_ = parse(*text, path_);
    } catch (const base::Error& error) {
        base::log_error("{}; starting a new history", error.what());
    }
}

std::vector<HistoryEntry> History::parse(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    if (!document.is_array())
        throw base::Error(name + ": expected an array");
    std::vector<HistoryEntry> entries;
    for (const json::value& item : document.get_array()) {
        const base::JsonObject object(item, name);
        entries.push_back({object.integer("time"), object.string("event"), release_from_json(object.object("release")),
                           object.string("detail"), object.strings("log")});
    }
    if (entries.size() > max_entries)
        entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(max_entries));
    return entries;
}

std::string History::text() const {
    json::array array;
    for (const HistoryEntry& entry : entries_) {
        json::object object{{"time", entry.time},
                            {"event", entry.event},
                            {"release", release_to_json(entry.release)},
                            {"detail", entry.detail}};
        if (!entry.log.empty())
            object["log"] = json::array(entry.log.begin(), entry.log.end());
        array.push_back(std::move(object));
    }
    return json::serialize(array) + "\n";
}

void History::add(std::string_view event, const Release& release, std::string_view detail,
                  const std::vector<std::string>& log) noexcept {
    try {
        HistoryEntry entry{std::time(nullptr), std::string(event), release, std::string(detail.substr(0, 1000))};
        constexpr std::size_t longest_line = 300;
        for (std::size_t index = log.size() - std::min(log.size(), max_log); index < log.size(); ++index)
            entry.log.push_back(plain_text(log[index], longest_line));
        entries_.push_back(std::move(entry));
        if (entries_.size() > max_entries)
            entries_.erase(entries_.begin());
        base::write_durable(path_, text(), 0600);
    } catch (const std::exception& error) {
        base::log_warning("history not written: {}", error.what());
    }
}

} // namespace updater
