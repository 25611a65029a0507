#include "api/directory_size.hpp"

#include <fts.h>
#include <sys/stat.h>

#include <memory>
#include <set>

namespace engine::api {

std::int64_t directory_size(const std::string& path) {
    std::string copy = path;
    char* const roots[] = {copy.data(), nullptr};
    const std::unique_ptr<FTS, int (*)(FTS*)> tree(::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr),
                                                   ::fts_close);
    if (!tree)
        return 0;
    std::int64_t total = 0;
    std::set<ino_t> linked;
    while (const FTSENT* entry = ::fts_read(tree.get())) {
        if (entry->fts_info != FTS_F ||
            (entry->fts_statp->st_nlink > 1 && !linked.insert(entry->fts_statp->st_ino).second))
            continue;
        total += entry->fts_statp->st_size;
    }
    return total;
}

} // namespace engine::api
