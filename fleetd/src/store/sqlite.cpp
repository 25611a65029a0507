#include "store/sqlite.hpp"

#include <sqlite3.h>

#include "base/error.hpp"

namespace fleet {

SqliteDatabase::SqliteDatabase(std::string path) : path_(std::move(path)) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
        const std::string reason = handle_ != nullptr ? sqlite3_errmsg(handle_) : "out of memory";
        sqlite3_close(handle_);
        throw base::Error(fmt::format("open {}: {}", path_, reason));
    }
    sqlite3_busy_timeout(handle_, 3000);
}

SqliteDatabase::~SqliteDatabase() {
    sqlite3_close(handle_);
}

void SqliteDatabase::execute(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(sql);
}

void SqliteDatabase::rollback() noexcept {
    if (sqlite3_get_autocommit(handle_) == 0)
        sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void SqliteDatabase::fail(const std::string& what) const {
    switch (sqlite3_errcode(handle_) & 0xff) {
    case SQLITE_BUSY:
        throw base::Error(EBUSY, fmt::format("{}: another process has it open", path_));
    case SQLITE_FULL:
        throw base::Error(ENOSPC, fmt::format("write {}", path_));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        throw base::Error(
            fmt::format("{} is damaged ({}): move it away to begin with an empty one", path_, sqlite3_errmsg(handle_)));
    default:
        throw base::Error(fmt::format("{}: {} ({})", path_, sqlite3_errmsg(handle_), what));
    }
}

SqliteStatement::SqliteStatement(SqliteDatabase& database, const char* sql) : database_(database) {
    if (sqlite3_prepare_v2(database.handle_, sql, -1, &handle_, nullptr) != SQLITE_OK)
        database.fail(sql);
}

SqliteStatement::~SqliteStatement() {
    sqlite3_finalize(handle_);
}

SqliteStatement& SqliteStatement::bind(int index, std::string_view text) {
    if (sqlite3_bind_text64(handle_, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
        database_.fail("bind");
    return *this;
}

SqliteStatement& SqliteStatement::bind(int index, std::int64_t number) {
    if (sqlite3_bind_int64(handle_, index, number) != SQLITE_OK)
        database_.fail("bind");
    return *this;
}

bool SqliteStatement::step() {
    const int result = sqlite3_step(handle_);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        database_.fail(sqlite3_sql(handle_));
    return result == SQLITE_ROW;
}

std::string SqliteStatement::text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
    return data == nullptr ? std::string()
                           : std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

std::int64_t SqliteStatement::integer(int column) const {
    return sqlite3_column_int64(handle_, column);
}

} // namespace fleet
