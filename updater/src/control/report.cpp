#include "report.hpp"

#include <ctime>

#include "base/json.hpp"
#include "record_json.hpp"

namespace updater {

namespace {

namespace json = base::json;

std::string explain(const std::string& state) {
    static const std::map<std::string, std::string> text{
        {"idle", "no update was tried yet"},
        {"checking", "asking the repository"},
        {"downloading", "fetching an update"},
        {"verifying", "checking what was fetched"},
        {"staged", "an update is ready; it is installed at the next reboot"},
        {"rebooting", "another deployment boots next"},
        {"trying", "the booted release is on trial"},
        {"good", "the booted release was found good"},
        {"rolled-back", "a newer release failed and the one before is running"},
    };
    const auto found = text.find(state);
    return found == text.end() ? "" : found->second;
}

void add_release(std::string& out, const char* label, const base::JsonObject& status, const char* key,
                 const std::string& note) {
    const auto object = status.object(key);
    if (!object)
        return;
    const Release release = release_from_json(object);
    out += fmt::format("{:<10}{}  commit {}{}{}\n", label, release.version.empty() ? "?" : release.version,
                       release.commit.empty() ? "unknown" : release.commit.substr(0, 12),
                       release.revision.empty() ? "" : "  revision " + release.revision,
                       note.empty() ? "" : "  (" + note + ")");
}

void add_receipt(std::string& out, const json::value& item) {
    const base::JsonObject receipt(item, "receipt");
    const Release release = release_from_json(receipt.object("release"));
    out += fmt::format("\n{} failed on {}: {}\n  {}\n", release.describe(), render_time(receipt.integer("time")),
                       receipt.string("check"), receipt.string("detail"));
    out += fmt::format("  seen by {}, boots that got as far as updaterd: {}{}\n", receipt.string("found_by"),
                       receipt.integer("boots"),
                       receipt.boolean("condemned") && receipt.boolean("revision_only")
                           ? "; this deployment is not booted again unless forced, its release is good"
                       : receipt.boolean("condemned") ? "; not tried again unless forced"
                       : receipt.boolean("retry") ? "; power or disk may be at fault: tried once more at the next boot"
                                                  : "");
    for (const std::string& line : receipt.strings("log"))
        out += "  | " + line + "\n";
}

void add_staged_changes(std::string& out, const base::JsonObject& staged) {
    if (staged.boolean("factory"))
        out += "          factory reset: /etc, /var and kernel arguments as shipped\n";
    for (const json::value& item : staged.array("arguments")) {
        const base::JsonObject change(item, "status");
        out += fmt::format("          kernel arguments: {} {}\n", change.string("change"), change.string("argument"));
    }
}

void add_policy(std::string& out, const base::JsonObject& policy) {
    const std::string mode = policy.string("mode");
    if (!mode.empty() && mode != "off") {
        out += fmt::format("{:<10}{}; looks again in {} s", "policy", mode, policy.integer("next_look_seconds"));
        if (policy.has("next_window"))
            out += fmt::format("; next window {} UTC", render_time(policy.integer("next_window")));
        out += "\n";
    }
    if (const auto lock = policy.object("lock"); lock && !lock->string("refused").empty())
        out += fmt::format("{:<10}{}\n", "lock", lock->string("refused"));
    if (const std::string problem = policy.string("problem"); !problem.empty())
        out += fmt::format("{:<10}{}\n", "policy", problem);
}

/// What a merge could not settle.
void add_notes(std::string& out, const base::JsonObject& notes) {
    for (const std::string& path : notes.strings("etc"))
        out += fmt::format("conflict  /etc/{} was changed here and in the image: kept, the image's is /usr/etc/{}\n",
                           path, path);
    for (const std::string& name : notes.strings("arguments"))
        out += fmt::format("conflict  kernel argument {} was changed here and in the image: kept\n", name);
    for (const std::string& line : notes.strings("accounts"))
        out += fmt::format("accounts  {}\n", line);
    if (const std::size_t count = notes.strings("left_behind").size(); count > 0)
        out += fmt::format("rollback  {} edits of /etc are not in {}\n", count,
                           release_from_json(notes.object("release")).version);
}

} // namespace

std::string render_time(std::int64_t seconds) {
    const std::time_t time = seconds;
    struct tm parts {};
    if (::gmtime_r(&time, &parts) == nullptr)
        return "?";
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return text.data();
}

std::string render_status(const std::string& json_text) {
    const json::value document = base::parse_json(json_text, "status");
    const base::JsonObject status(document, "status");
    const std::string state = status.string("state");
    std::string out = fmt::format("{:<10}{}: {}\n", "state", state, explain(state));
    add_release(out, "booted", status, "booted", status.boolean("booted_is_good") ? "good" : "not known good");
    add_release(out, "staged", status, "staged", "");
    if (const auto changes = status.object("staged_changes"))
        add_staged_changes(out, *changes);
    if (const auto pending = status.object("pending"))
        add_release(out, "next", *pending, "release", pending->string("kind"));
    add_release(out, "rollback", status, "rollback", "");
    if (const auto trial = status.object("trial")) {
        out += fmt::format("{:<10}boot {}, {} of {} s", "trial", trial->integer("boots"), trial->integer("seconds"),
                           trial->integer("deadline_seconds"));
        if (trial->has("healthy_seconds"))
            out += fmt::format("; healthy for {} of {} s", trial->integer("healthy_seconds"),
                               trial->integer("settle_seconds"));
        else if (trial->has("waiting_for"))
            out += "; waiting for: " + trial->string("waiting_for");
        out += "\n";
    }
    if (const auto progress = status.object("progress"))
        out += fmt::format("{:<10}{} bytes, {} of {} objects\n", "progress", progress->integer("bytes"),
                           progress->integer("objects"), progress->integer("total_objects"));
    if (const auto policy = status.object("policy"))
        add_policy(out, *policy);
    if (const std::string error = status.string("last_error"); !error.empty())
        out += fmt::format("{:<10}{}\n", "error", error);
    if (const auto notes = status.object("notes"))
        add_notes(out, *notes);
    const json::array& receipts = status.array("receipts");
    if (!receipts.empty())
        add_receipt(out, receipts.back());
    return out;
}

std::string render_history(const std::string& json_text) {
    const json::value document = base::parse_json(json_text, "history");
    std::string out;
    for (const json::value& item : document.as_array()) {
        const base::JsonObject entry(item, "history");
        const auto object = entry.object("release");
        const Release release = release_from_json(object);
        const bool known = !release.commit.empty() || !release.revision.empty();
        out += fmt::format("{}  {:<16}{}{}{}\n", render_time(entry.integer("time")), entry.string("event"),
                           known ? release.describe() : "", known && !entry.string("detail").empty() ? ": " : "",
                           entry.string("detail"));
        for (const std::string& line : entry.strings("log"))
            out += "    | " + line + "\n";
    }
    return out.empty() ? "nothing happened yet\n" : out;
}

} // namespace updater
