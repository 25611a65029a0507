// What several of these tests need: archives read back by libarchive, messages of what was thrown.
#pragma once
#include <archive.h>
#include <archive_entry.h>

#include <map>
#include <string>

#include "base/error.hpp"

/// The whole message chain of what `function` throws; empty when it does not.
template <typename F>
std::string message_of(F&& function) {
    try {
        function();
    } catch (const std::exception& error) {
        return base::error_chain(error);
    }
    return {};
}

struct ArchivedFile {
    std::string content;
    std::string link;
    unsigned mode = 0;
    long uid = -1, gid = -1, mtime = -1;
};

/// Reads any archive that libarchive knows: not our code.
inline std::map<std::string, ArchivedFile> read_archive(const std::string& bytes) {
    std::map<std::string, ArchivedFile> files;
    archive* reader = archive_read_new();
    archive_read_support_filter_all(reader);
    archive_read_support_format_all(reader);
    if (archive_read_open_memory(reader, bytes.data(), bytes.size()) != ARCHIVE_OK)
        throw base::Error(archive_error_string(reader));
    archive_entry* entry = nullptr;
    while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
        ArchivedFile& file = files[archive_entry_pathname(entry)];
        file.mode = archive_entry_mode(entry);
        file.uid = archive_entry_uid(entry);
        file.gid = archive_entry_gid(entry);
        file.mtime = archive_entry_mtime(entry);
        if (const char* link = archive_entry_symlink(entry))
            file.link = link;
        char buffer[4096];
        for (la_ssize_t n = 0; (n = archive_read_data(reader, buffer, sizeof buffer)) > 0;)
            file.content.append(buffer, static_cast<std::size_t>(n));
    }
    archive_read_free(reader);
    return files;
}
