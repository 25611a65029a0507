#include "updater/record.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "record_json.hpp"
#include "updater/boot_text.hpp"

namespace updater {

namespace json = base::json;

json::object release_to_json(const Release& release) {
    return {{"version", release.version}, {"commit", release.commit}, {"revision", release.revision}};
}

Release release_from_json(const std::optional<base::JsonObject>& object) {
    if (!object)
        return {};
    return {object->string("version"), object->string("commit"), object->string("revision")};
}

json::object receipt_to_json(const Receipt& receipt) {
    return {{"release", release_to_json(receipt.release)},
            {"found_by", receipt.found_by},
            {"check", receipt.check},
            {"detail", receipt.detail},
            {"log", json::array(receipt.log.begin(), receipt.log.end())},
            {"boots", receipt.boots},
            {"time", receipt.time},
            {"fell_back_to", release_to_json(receipt.fell_back_to)},
            {"condemned", receipt.condemned},
            {"revision_only", receipt.revision_only},
            {"retry", receipt.retry}};
}

json::object staged_to_json(const StagedUpdate& staged) {
    json::array arguments;
    for (const ArgumentChange& change : staged.arguments)
        arguments.push_back(json::object{{"change", to_string(change.kind)}, {"argument", change.argument}});
    return {{"release", release_to_json(staged.release)},
            {"ref", staged.ref},
            {"time", staged.time},
            {"arguments", std::move(arguments)},
            {"factory", staged.factory}};
}

json::object notes_to_json(const MergeNotes& notes) {
    const auto list = [](const std::vector<std::string>& items) {
        json::array array;
        for (std::size_t index = 0; index < std::min(items.size(), MergeNotes::max_entries); ++index)
            array.emplace_back(plain_text(items[index], 1000));
        return array;
    };
    return {{"release", release_to_json(notes.release)},
            {"etc", list(notes.etc)},
            {"accounts", list(notes.accounts)},
            {"arguments", list(notes.arguments)},
            {"left_behind", list(notes.left_behind)}};
}

std::vector<std::string> notes_to_lines(const MergeNotes& notes) {
    std::vector<std::string> lines;
    const auto add = [&lines](const std::vector<std::string>& items, std::string_view before, std::string_view after) {
        for (std::size_t index = 0; index < std::min(items.size(), MergeNotes::max_entries); ++index)
            lines.push_back(std::string(before) + plain_text(items[index], 1000) + std::string(after));
    };
    add(notes.etc, "/etc/", " was changed here and in the image: kept");
    add(notes.arguments, "kernel argument ", " was changed here and in the image: kept");
    add(notes.accounts, "", "");
    add(notes.left_behind, "/etc/", " was edited and is not in " + plain_text(notes.release.version, 100));
    return lines;
}

namespace {

StagedUpdate staged_from_json(const base::JsonObject& object) {
    StagedUpdate staged{release_from_json(object.object("release")),
                        object.string("ref"),
                        object.integer("time"),
                        {},
                        object.boolean("factory")};
    for (const json::value& item : object.array("arguments")) {
        const base::JsonObject change(item, object.name() + ": arguments");
        // A kind that only a later release knows is left out.
        if (const auto kind = argument_change_kind(change.string("change")))
            staged.arguments.push_back({*kind, change.string("argument")});
    }
    return staged;
}

unsigned count(const base::JsonObject& object, std::string_view key) {
    const std::int64_t value = object.integer(key);
    return static_cast<unsigned>(std::clamp<std::int64_t>(value, 0, 1'000'000));
}

Receipt receipt_from_json(const base::JsonObject& object) {
    Receipt receipt;
    receipt.release = release_from_json(object.object("release"));
    receipt.found_by = object.string("found_by");
    receipt.check = object.string("check");
    receipt.detail = object.string("detail");
    receipt.log = object.strings("log");
    receipt.boots = count(object, "boots");
    receipt.time = object.integer("time");
    receipt.fell_back_to = release_from_json(object.object("fell_back_to"));
    receipt.condemned = object.boolean("condemned", true);
    receipt.revision_only = object.boolean("revision_only");
    receipt.retry = object.boolean("retry");
    return receipt;
}

Baseline baseline_from_json(const base::JsonObject& object) {
    Baseline baseline{object.string("revision"), object.integer("time"), {}};
    for (const json::value& item : object.array("passed")) {
        const base::JsonObject pass(item, object.name() + ": passed");
        if (baseline.passed.size() < 64)
            baseline.passed[pass.required_string("name")] = {pass.string("definition"), pass.integer("time")};
    }
    return baseline;
}

json::object baseline_to_json(const Baseline& baseline) {
    json::array passed;
    for (const auto& [name, pass] : baseline.passed)
        passed.push_back(json::object{{"name", name}, {"definition", pass.definition}, {"time", pass.time}});
    return {{"revision", baseline.revision}, {"time", baseline.time}, {"passed", std::move(passed)}};
}

State state_member(const base::JsonObject& object, std::string_view key) {
    const std::string text = object.string(key, "idle");
    const std::optional<State> state = state_from_string(text);
    if (!state)
        throw base::Error(fmt::format("{}: {}: unknown state '{}'", object.name(), key, text));
    return *state;
}

} // namespace

std::string Release::describe() const {
    const std::string name = !version.empty() ? version : !commit.empty() ? commit.substr(0, 12) : "unknown release";
    return revision.empty() ? name : fmt::format("{} (revision {})", name, revision);
}

const Receipt* Record::condemned(std::string_view commit) const noexcept {
    const auto found = std::find_if(receipts.rbegin(), receipts.rend(), [&](const Receipt& receipt) {
        return receipt.condemned && !receipt.revision_only && receipt.release.commit == commit;
    });
    return commit.empty() || found == receipts.rend() ? nullptr : &*found;
}

const Receipt* Record::receipt_of(std::string_view revision) const noexcept {
    const auto found = std::find_if(receipts.rbegin(), receipts.rend(),
                                    [&](const Receipt& receipt) { return receipt.release.revision == revision; });
    return revision.empty() || found == receipts.rend() ? nullptr : &*found;
}

bool Record::was_retried(const Receipt& receipt) const noexcept {
    return std::any_of(receipts.begin(), receipts.end(), [&](const Receipt& old) {
        if (receipt.revision_only || old.revision_only)
            return old.retry && old.release.revision == receipt.release.revision;
        return old.retry && !old.release.commit.empty() && old.release.commit == receipt.release.commit;
    });
}

void Record::add_receipt(Receipt receipt) {
    if (receipt.log.size() > Receipt::max_log_lines)
        receipt.log.erase(receipt.log.begin(), receipt.log.end() - static_cast<std::ptrdiff_t>(Receipt::max_log_lines));
    // Text of a container that failed: JSON wants UTF-8, and a terminal no escape sequences.
    for (std::string& line : receipt.log)
        line = plain_text(line, Receipt::max_line_bytes);
    receipt.check = plain_text(receipt.check, Receipt::max_line_bytes);
    receipt.detail = plain_text(receipt.detail, Receipt::max_line_bytes);
    std::erase_if(receipts, [&](const Receipt& old) {
        return !old.release.revision.empty() && old.release.revision == receipt.release.revision;
    });
    receipts.push_back(std::move(receipt));
    if (receipts.size() > max_receipts)
        receipts.erase(receipts.begin());
}

void Record::pardon(const Release& release) noexcept {
    for (Receipt& receipt : receipts) {
        if (receipt.revision_only ? receipt.release.revision == release.revision
                                  : receipt.release.commit == release.commit) {
            receipt.condemned = false;
            receipt.retry = false;
        }
    }
}

Record parse_record(std::string_view text, const std::string& name) {
    const json::value document = base::parse_json(text, name);
    const base::JsonObject root(document, name);
    Record record;
    record.state = state_member(root, "state");
    record.judgement = state_member(root, "judgement");
    if (record.judgement != State::good && record.judgement != State::rolled_back)
        record.judgement = State::idle;
    record.boot_id = root.string("boot_id");
    record.last_error = root.string("last_error");
    if (const auto staged = root.object("staged"))
        record.staged = staged_from_json(*staged);
    if (const auto notes = root.object("notes"))
        record.notes = {release_from_json(notes->object("release")), notes->strings("etc"), notes->strings("accounts"),
                        notes->strings("arguments"), notes->strings("left_behind")};
    if (const auto pending = root.object("pending"))
        record.pending = {pending->string("kind"), release_from_json(pending->object("target")),
                          release_from_json(pending->object("from")), pending->string("boot_id")};
    if (const auto trial = root.object("trial"))
        record.trial = {trial->string("revision"), count(*trial, "boots"), trial->string("boot_id"),
                        std::max<std::int64_t>(trial->integer("started_ms"), 0)};
    if (const auto baseline = root.object("baseline"))
        record.baseline = baseline_from_json(*baseline);
    for (const json::value& item : root.array("receipts"))
        record.add_receipt(receipt_from_json(base::JsonObject(item, name + ": receipts")));
    return record;
}

std::string serialize_record(const Record& record) {
    json::object root{{"state", to_string(record.state)},
                      {"judgement", to_string(record.judgement)},
                      {"boot_id", record.boot_id},
                      {"last_error", record.last_error}};
    if (record.staged)
        root["staged"] = staged_to_json(*record.staged);
    if (record.notes)
        root["notes"] = notes_to_json(*record.notes);
    if (record.pending)
        root["pending"] = json::object{{"kind", record.pending->kind},
                                       {"target", release_to_json(record.pending->target)},
                                       {"from", release_to_json(record.pending->from)},
                                       {"boot_id", record.pending->boot_id}};
    if (record.trial)
        root["trial"] = json::object{{"revision", record.trial->revision},
                                     {"boots", record.trial->boots},
                                     {"boot_id", record.trial->boot_id},
                                     {"started_ms", record.trial->started_ms}};
    if (record.baseline)
        root["baseline"] = baseline_to_json(*record.baseline);
    json::array receipts;
    for (const Receipt& receipt : record.receipts)
        receipts.push_back(receipt_to_json(receipt));
    root["receipts"] = std::move(receipts);
    return json::serialize(root) + "\n";
}

Record load_record(const std::string& path) {
    const std::optional<std::string> text = base::read_file_if_exists(path, Record::max_bytes);
    if (!text)
        return {};
    try {
        return parse_record(*text, path);
    } catch (const base::Error& error) {
        base::log_error("{}; starting with an empty record, the old one is kept as {}.bad", error.what(), path);
        base::write_durable(path + ".bad", *text);
        return {};
    }
}

void save_record(const std::string& path, const Record& record) {
    base::write_durable(path, serialize_record(record), 0600);
}

} // namespace updater
