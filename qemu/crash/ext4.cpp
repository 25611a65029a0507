#include "crash/ext4.hpp"

#include <ext2fs/ext2fs.h>

#include <cstring>

#include "base/error.hpp"

namespace crash {
namespace {

constexpr std::size_t maximum_links = 8;

struct Channel {
    const Disk* disk;
    const Extent* where;
};

// libext2fs opens by name only: the channel to open next is left here.
thread_local Channel next_channel{};

errcode_t channel_open(const char* name, int /*flags*/, io_channel* result);
errcode_t channel_close(io_channel channel) {
    delete static_cast<Channel*>(channel->private_data);
    std::free(channel->name); // NOLINT(cppcoreguidelines-no-malloc): libext2fs may replace it by its own allocator
    delete channel;
    return 0;
}
errcode_t channel_set_block_size(io_channel channel, int size) {
    channel->block_size = size;
    return 0;
}
errcode_t channel_read(io_channel channel, unsigned long long block, int count, void* data) {
    const auto& source = *static_cast<Channel*>(channel->private_data);
    // A negative count is one of bytes.
    const std::uint64_t bytes =
        count < 0 ? static_cast<std::uint64_t>(-static_cast<std::int64_t>(count))
                  : static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(channel->block_size);
    const std::uint64_t size = source.where->sectors * sector_size;
    const auto block_size = static_cast<std::uint64_t>(channel->block_size);
    if (block > size / block_size || bytes > size - block * block_size)
        return EXT2_ET_SHORT_READ;
    auto* into = static_cast<std::uint8_t*>(data);
    const std::uint64_t first = source.where->first + block * block_size / sector_size;
    source.disk->read(first, bytes / sector_size, into);
    if (const std::uint64_t rest = bytes % sector_size; rest != 0)
        std::memcpy(into + bytes - rest, source.disk->sector(first + bytes / sector_size), rest);
    return 0;
}
errcode_t channel_read32(io_channel channel, unsigned long block, int count, void* data) {
    return channel_read(channel, block, count, data);
}
errcode_t channel_write(io_channel, unsigned long, int, const void*) {
    return EXT2_ET_RO_FILSYS;
}
errcode_t channel_write64(io_channel, unsigned long long, int, const void*) {
    return EXT2_ET_RO_FILSYS;
}
errcode_t channel_flush(io_channel) {
    return 0;
}

struct_io_manager* manager() {
    static struct_io_manager made = [] {
        struct_io_manager it{};
        it.magic = EXT2_ET_MAGIC_IO_MANAGER;
        it.name = "rebuilt disk";
        it.open = channel_open;
        it.close = channel_close;
        it.set_blksize = channel_set_block_size;
        it.read_blk = channel_read32;
        it.read_blk64 = channel_read;
        it.write_blk = channel_write;
        it.write_blk64 = channel_write64;
        it.flush = channel_flush;
        return it;
    }();
    return &made;
}

errcode_t channel_open(const char* name, int /*flags*/, io_channel* result) {
    auto* channel = new struct_io_channel{};
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->manager = manager();
    channel->name = ::strdup(name);
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->private_data = new Channel(next_channel);
    *result = channel;
    return 0;
}

void check(errcode_t error, const std::string& what) {
    if (error != 0)
        throw base::Error(fmt::format("{}: {}", what, ::error_message(error)));
}

} // namespace

struct Ext4::Impl {
    const Disk* disk = nullptr;
    Extent where;
    Reader reader = Reader::kernel;
    ext2_filsys fs = nullptr;

    std::string name(Inode inode) const { return fmt::format("{}: inode {}", where.name, inode); }
    ext2_inode raw(Inode inode) const {
        ext2_inode found{};
        if (inode == 0 || inode > fs->super->s_inodes_count)
            throw base::Error(name(inode) + ": no such inode");
        check(ext2fs_read_inode(fs, inode, &found), name(inode));
        return found;
    }
    /// Calls `visit(logical, physical)`; metadata blocks have a negative logical number.
    void each_block(Inode inode, const std::function<void(std::int64_t, std::uint64_t)>& visit) const {
        if (ext2_inode found = raw(inode); ext2fs_inode_has_valid_blocks2(fs, &found) == 0)
            return;
        const auto step = [](ext2_filsys, blk64_t* block, e2_blkcnt_t logical, blk64_t, int, void* context) {
            (*static_cast<const std::function<void(std::int64_t, std::uint64_t)>*>(context))(logical, *block);
            return 0;
        };
        check(ext2fs_block_iterate3(fs, inode, BLOCK_FLAG_READ_ONLY, nullptr, step,
                                    const_cast<void*>(static_cast<const void*>(&visit))),
              name(inode));
    }
};

Ext4::Ext4(const Disk& disk, const Extent& where, Reader reader) : impl_(std::make_unique<Impl>()) {
    impl_->disk = &disk;
    impl_->where = where;
    impl_->reader = reader;
    next_channel = {&disk, &impl_->where};
    const int flags =
        EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | (reader == Reader::grub ? EXT2_FLAG_IGNORE_CSUM_ERRORS : 0);
    check(ext2fs_open2(where.name.c_str(), nullptr, flags, 0, 0, manager(), &impl_->fs), where.name);
    ::initialize_ext2_error_table();
}

Ext4::~Ext4() {
    ext2fs_free(impl_->fs);
}

std::size_t Ext4::block_size() const {
    return impl_->fs->blocksize;
}

FileStatus Ext4::status(Inode inode) const {
    ext2_inode raw = impl_->raw(inode);
    return {.inode = inode,
            .mode = raw.i_mode,
            .uid = inode_uid(raw),
            .gid = inode_gid(raw),
            .size = EXT2_I_SIZE(&raw),
            .has_attributes = ext2fs_file_acl_block(impl_->fs, &raw) != 0};
}

std::optional<Inode> Ext4::find(Inode directory, const std::string& name) const {
    if (!status(directory).directory())
        return std::nullopt;
    ext2_ino_t found = 0;
    const errcode_t error =
        ext2fs_lookup(impl_->fs, directory, name.c_str(), static_cast<int>(name.size()), nullptr, &found);
    if (error == EXT2_ET_FILE_NOT_FOUND)
        return std::nullopt;
    check(error, impl_->name(directory) + ": " + name);
    return found;
}

std::optional<Inode> Ext4::resolve(const std::string& path, Inode from) const {
    std::string rest = path;
    Inode at = path.starts_with('/') ? root : from;
    std::size_t links = 0;
    while (!rest.empty()) {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const std::string part = rest.substr(0, slash);
        rest.erase(0, std::min(slash + 1, rest.size()));
        if (part.empty() || part == ".")
            continue;
        const std::optional<Inode> next = find(at, part);
        if (!next)
            return std::nullopt;
        if (!status(*next).link()) {
            at = *next;
            continue;
        }
        if (++links > maximum_links)
            return std::nullopt;
        const std::string target = link_target(*next);
        if (target.starts_with('/'))
            at = root;
        rest = target + "/" + rest;
    }
    return at;
}

std::vector<Name> Ext4::list(Inode directory) const {
    std::vector<Name> names;
    const auto step = [](ext2_dir_entry* entry, int, int, char*, void* context) {
        std::string name(entry->name, static_cast<std::size_t>(ext2fs_dirent_name_len(entry)));
        if (name != "." && name != "..")
            static_cast<std::vector<Name>*>(context)->push_back({std::move(name), entry->inode});
        return 0;
    };
    check(ext2fs_dir_iterate(impl_->fs, directory, 0, nullptr, step, &names), impl_->name(directory));
    std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.name < b.name; });
    return names;
}

std::string Ext4::read(Inode inode, std::size_t limit) const {
    const FileStatus file = status(inode);
    if (file.size > limit)
        throw base::Error(fmt::format("{}: {} bytes", impl_->name(inode), file.size));
    std::string content(file.size, '\0');
    if (impl_->reader == Reader::grub) {
        std::vector<std::uint8_t> block(block_size());
        const std::uint64_t sectors = block_size() / sector_size;
        const std::vector<std::uint64_t> places = blocks(inode);
        for (std::size_t i = 0; i < places.size() && i * block.size() < content.size(); ++i) {
            if (places[i] == 0)
                continue;
            if (places[i] >= impl_->where.sectors / sectors)
                throw base::Error(impl_->name(inode) + ": a block outside of the file system");
            impl_->disk->read(impl_->where.first + places[i] * sectors, sectors, block.data());
            std::memcpy(content.data() + i * block.size(), block.data(),
                        std::min(block.size(), content.size() - i * block.size()));
        }
        return content;
    }
    ext2_file_t open = nullptr;
    check(ext2fs_file_open(impl_->fs, inode, 0, &open), impl_->name(inode));
    unsigned got = 0;
    const errcode_t error =
        content.empty() ? 0 : ext2fs_file_read(open, content.data(), static_cast<unsigned>(content.size()), &got);
    ext2fs_file_close(open);
    check(error, impl_->name(inode));
    if (got != content.size())
        throw base::Error(impl_->name(inode) + ": shorter than its size");
    return content;
}

std::string Ext4::link_target(Inode inode) const {
    ext2_inode raw = impl_->raw(inode);
    if (!LINUX_S_ISLNK(raw.i_mode))
        throw base::Error(impl_->name(inode) + ": not a symlink");
    const std::uint64_t size = EXT2_I_SIZE(&raw);
    if (ext2fs_is_fast_symlink(&raw) != 0) {
        std::string target(sizeof(raw.i_block), '\0');
        std::memcpy(target.data(), raw.i_block, target.size());
        target.resize(std::min<std::size_t>(size, target.size()));
        return target;
    }
    return read(inode, block_size());
}

std::vector<std::uint64_t> Ext4::blocks(Inode inode) const {
    std::vector<std::uint64_t> places;
    impl_->each_block(inode, [&](std::int64_t logical, std::uint64_t physical) {
        constexpr std::int64_t too_far = 1 << 24;
        if (logical < 0 || logical >= too_far)
            return;
        if (places.size() <= static_cast<std::size_t>(logical))
            places.resize(static_cast<std::size_t>(logical) + 1);
        places[static_cast<std::size_t>(logical)] = physical;
    });
    return places;
}

std::uint64_t Ext4::content_key(Inode inode) const {
    const ext2_inode raw = impl_->raw(inode);
    std::uint64_t key = mix(mix(inode, raw.i_mode), mix(EXT2_I_SIZE(&raw), raw.i_flags));
    for (const std::uint32_t word : raw.i_block)
        key = mix(key, word);
    const std::uint64_t sectors = block_size() / sector_size;
    impl_->each_block(inode, [&](std::int64_t logical, std::uint64_t physical) {
        key = mix(key, mix(static_cast<std::uint64_t>(logical), physical));
        if (physical < impl_->where.sectors / sectors)
            for (std::uint64_t i = 0; i < sectors; ++i)
                if (const ContentId id = impl_->disk->id(impl_->where.first + physical * sectors + i); id != 0)
                    key = mix(key, mix(i, id));
    });
    return key;
}

} // namespace crash
