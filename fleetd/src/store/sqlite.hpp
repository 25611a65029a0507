// The part of SQLite we use, with owners and our errors.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace fleet {

/// One connection; not for several threads at once. Every failure throws base::Error "PATH: what SQLite says".
class SqliteDatabase {
public:
    /// Opened for writing, made when missing.
    explicit SqliteDatabase(std::string path);
    ~SqliteDatabase();
    SqliteDatabase(const SqliteDatabase&) = delete;
    SqliteDatabase& operator=(const SqliteDatabase&) = delete;

    void execute(const char* sql);
    /// Ends an open transaction without it; never throws.
    void rollback() noexcept;
    [[noreturn]] void fail(const std::string& what) const;

private:
    friend class SqliteStatement;
    std::string path_;
    sqlite3* handle_ = nullptr;
};

/// A prepared statement, reset when it goes.
class SqliteStatement {
public:
    SqliteStatement(SqliteDatabase& database, const char* sql);
    ~SqliteStatement();
    SqliteStatement(const SqliteStatement&) = delete;
    SqliteStatement& operator=(const SqliteStatement&) = delete;

    SqliteStatement& bind(int index, std::string_view text); ///< outlives the statement's steps
    SqliteStatement& bind(int index, std::int64_t number);
    bool step(); ///< true: there is a row
    std::string text(int column) const;
    std::int64_t integer(int column) const;

private:
    SqliteDatabase& database_;
    sqlite3_stmt* handle_ = nullptr;
};

} // namespace fleet
