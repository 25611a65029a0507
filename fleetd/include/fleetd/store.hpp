// Where a fleet's state is kept: keys with values and revisions, a transaction, a watch. The shape is etcd v3's, so
// that the embedded database of one host and the etcd of many are the same to everything above.
//
// Every commit has a revision higher than all before it. A key remembers the revision of its creation and of its last
// change. Session keys last as long as the writer's session (with etcd: its lease; embedded: the process), so what a
// dead host said of itself goes away by itself.
//
// Thread-safe. Failures (disk, network) throw base::Error and have changed nothing.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fleet {

using Revision = std::int64_t;

struct Entry {
    std::string key;
    std::string value;
    Revision created = 0;
    Revision modified = 0;
};

struct Listing {
    Revision revision = 0; ///< of the store when it was read: all entries are of one moment
    std::vector<Entry> entries;
};

/// Holds when the key's last change has this revision; 0: there is no such key.
struct Condition {
    std::string key;
    Revision modified = 0;
};

enum class Lifetime { durable, session };

struct Write {
    std::string key;
    std::optional<std::string> value; ///< nullopt: remove
    Lifetime lifetime = Lifetime::durable;
};

struct Change {
    std::string key;
    bool removed = false;
    Revision revision = 0;
};

class Watch {
public:
    virtual ~Watch() = default;
    /// Waits for changes; empty after `timeout` or `interrupt`. nullopt: some were missed, list again (the watch goes
    /// on from now).
    virtual std::optional<std::vector<Change>> next(std::chrono::milliseconds timeout) = 0;
    /// From any thread: a waiting `next`, or the following one, returns at once.
    virtual void interrupt() noexcept = 0;
};

class Store {
public:
    virtual ~Store() = default;

    /// The identity of this store, made with it: what another store's fleet left behind is not ours to touch.
    virtual const std::string& id() const noexcept = 0;
    virtual std::optional<Entry> get(const std::string& key) = 0;
    /// Keys that start with `prefix`, in order.
    virtual Listing list(const std::string& prefix) = 0;
    /// All writes or none. nullopt when a condition does not hold; else the commit's revision.
    virtual std::optional<Revision> commit(const std::vector<Condition>& conditions,
                                           const std::vector<Write>& writes) = 0;
    /// Changes to keys that start with `prefix` after revision `after`.
    virtual std::unique_ptr<Watch> watch(const std::string& prefix, Revision after) = 0;

    Revision put(const std::string& key, std::string value, Lifetime lifetime = Lifetime::durable);
    /// nullopt when the key's last change is not of `expected` (0: it must not exist).
    std::optional<Revision> compare_and_swap(const std::string& key, Revision expected, std::string value);
};

/// The embedded store: SQLite at `path` (WAL, synchronous=FULL: what was committed survives a power cut). One process
/// at a time. Throws base::Error when it is damaged, in use, or of a release too new to be read.
std::unique_ptr<Store> open_sqlite_store(const std::string& path);

} // namespace fleet
