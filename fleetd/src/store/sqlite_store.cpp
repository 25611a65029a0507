// The embedded store. Tables:
//   entries(key, value, created, modified)
//   facts(name, value): `id`, `revision` (of the last durable commit), `readable_from` (the oldest schema that a reader
//   must know). The schema itself is in PRAGMA user_version. Additions keep `readable_from`, so that the release before
//   reads what this one wrote.
#include <sys/random.h>

#include <mutex>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/sha256.hpp"
#include "store/change_log.hpp"
#include "store/sqlite.hpp"

namespace fleet {
namespace {

constexpr std::int64_t schema = 1;

std::string random_id() {
    std::array<std::uint8_t, 16> bytes{};
    base::check(getrandom(bytes.data(), bytes.size(), 0), "getrandom");
    return base::to_hex(bytes);
}

Entry row_to_entry(const SqliteStatement& row) {
    return {row.text(0), row.text(1), row.integer(2), row.integer(3)};
}

class SqliteStore final : public Store {
public:
    explicit SqliteStore(const std::string& path) : path_(path), database_(path) {
        // EXCLUSIVE: one process, no shared memory file; a second one gets SQLITE_BUSY.
        database_.execute("PRAGMA locking_mode=EXCLUSIVE");
        database_.execute("PRAGMA journal_mode=WAL");
        database_.execute("PRAGMA synchronous=FULL");
        database_.execute("PRAGMA trusted_schema=OFF");
        check_integrity();
        prepare_schema();
        id_ = fact("id").value();
        revision_ = std::stoll(fact("revision").value());
        changes_ = std::make_shared<ChangeLog>(revision_);
    }

    const std::string& id() const noexcept override { return id_; }

    std::optional<Entry> get(const std::string& key) override {
        const std::lock_guard lock(mutex_);
        return find(key);
    }

    Listing list(const std::string& prefix) override {
        const std::lock_guard lock(mutex_);
        Listing listing;
        listing.revision = revision_;
        // substr and not LIKE: no letter of a prefix is special.
        SqliteStatement query(database_, "SELECT key, value, created, modified FROM entries "
                                         "WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1");
        query.bind(1, prefix);
        while (query.step())
            listing.entries.push_back(row_to_entry(query));
        for (auto it = session_.lower_bound(prefix); it != session_.end() && it->first.starts_with(prefix); ++it)
            listing.entries.push_back(it->second);
        std::sort(listing.entries.begin(), listing.entries.end(),
                  [](const Entry& a, const Entry& b) { return a.key < b.key; });
        return listing;
    }

    std::optional<Revision> commit(const std::vector<Condition>& conditions,
                                   const std::vector<Write>& writes) override {
        const std::lock_guard lock(mutex_);
        for (const Condition& condition : conditions) {
            const auto entry = find(condition.key);
            if ((entry ? entry->modified : 0) != condition.modified)
                return std::nullopt;
        }
        std::vector<Change> changes;
        for (const Write& write : writes) {
            if (!write.value && !find(write.key))
                continue; // removing what is not there changes nothing
            changes.push_back({write.key, !write.value, revision_ + 1});
        }
        if (changes.empty())
            return revision_;
        write_durable_ones(writes);
        ++revision_;
        for (const Write& write : writes)
            apply_session(write);
        changes_->append(changes);
        return revision_;
    }

    std::unique_ptr<Watch> watch(const std::string& prefix, Revision after) override {
        return changes_->watch(prefix, after);
    }

private:
    void check_integrity() {
        SqliteStatement check(database_, "PRAGMA quick_check(1)");
        if (check.step() && check.text(0) != "ok")
            throw base::Error(
                fmt::format("{} is damaged ({}): move it away to begin with an empty one", path_, check.text(0)));
    }

    void prepare_schema() {
        std::int64_t found = 0;
        {
            SqliteStatement version(database_, "PRAGMA user_version");
            if (version.step())
                found = version.integer(0);
        }
        if (found == 0) {
            create_schema();
            return;
        }
        const auto readable_from = fact("readable_from");
        if (!readable_from || std::stoll(*readable_from) > schema)
            throw base::Error(fmt::format("{} has schema {}, readable from {}: this release reads {}", path_, found,
                                          readable_from.value_or("unknown"), schema));
    }

    void create_schema() {
        database_.execute("BEGIN IMMEDIATE");
        try {
            database_.execute("CREATE TABLE entries(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL, "
                              "created INTEGER NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID");
            database_.execute("CREATE TABLE facts(name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID");
            set_fact("id", random_id());
            set_fact("revision", "0");
            set_fact("readable_from", std::to_string(schema));
            database_.execute("PRAGMA user_version=1");
            database_.execute("COMMIT");
        } catch (...) {
            database_.rollback();
            throw;
        }
        static_assert(schema == 1, "the statement above names the schema");
    }

    std::optional<std::string> fact(const std::string& name) {
        SqliteStatement query(database_, "SELECT value FROM facts WHERE name = ?1");
        query.bind(1, name);
        return query.step() ? std::optional(query.text(0)) : std::nullopt;
    }

    void set_fact(const std::string& name, const std::string& value) {
        SqliteStatement statement(database_, "INSERT INTO facts(name, value) VALUES(?1, ?2) "
                                             "ON CONFLICT(name) DO UPDATE SET value = excluded.value");
        statement.bind(1, name).bind(2, value).step();
    }

    std::optional<Entry> find(const std::string& key) {
        if (const auto it = session_.find(key); it != session_.end())
            return it->second;
        SqliteStatement query(database_, "SELECT key, value, created, modified FROM entries WHERE key = ?1");
        query.bind(1, key);
        return query.step() ? std::optional(row_to_entry(query)) : std::nullopt;
    }

    void write_durable_ones(const std::vector<Write>& writes) {
        const auto durable = [&](const Write& write) {
            return write.value ? write.lifetime == Lifetime::durable : !session_.contains(write.key);
        };
        if (std::none_of(writes.begin(), writes.end(), durable))
            return;
        database_.execute("BEGIN IMMEDIATE");
        try {
            for (const Write& write : writes) {
                if (durable(write))
                    write_row(write);
            }
            set_fact("revision", std::to_string(revision_ + 1));
            database_.execute("COMMIT");
        } catch (...) {
            database_.rollback();
            throw;
        }
    }

    void write_row(const Write& write) {
        if (!write.value) {
            SqliteStatement(database_, "DELETE FROM entries WHERE key = ?1").bind(1, write.key).step();
            return;
        }
        // Columns by name: a later release may have added some.
        SqliteStatement statement(database_, "INSERT INTO entries(key, value, created, modified) "
                                             "VALUES(?1, ?2, ?3, ?3) ON CONFLICT(key) DO UPDATE "
                                             "SET value = excluded.value, modified = excluded.modified");
        statement.bind(1, write.key).bind(2, *write.value).bind(3, revision_ + 1).step();
    }

    void apply_session(const Write& write) {
        if (!write.value) {
            session_.erase(write.key);
        } else if (write.lifetime == Lifetime::session) {
            const auto [it, added] = session_.try_emplace(write.key, Entry{write.key, {}, revision_, revision_});
            it->second.value = *write.value;
            it->second.modified = revision_;
        }
    }

    std::mutex mutex_;
    std::string path_;
    SqliteDatabase database_;
    std::string id_;
    Revision revision_ = 0;
    std::map<std::string, Entry> session_; ///< gone with the process, as with a lease
    std::shared_ptr<ChangeLog> changes_;
};

} // namespace

std::unique_ptr<Store> open_sqlite_store(const std::string& path) {
    // SQLite makes the file and its journal; their names must survive a power cut as their content does.
    auto store = std::make_unique<SqliteStore>(path);
    base::sync_directory(std::filesystem::path(path).parent_path().string());
    return store;
}

} // namespace fleet
