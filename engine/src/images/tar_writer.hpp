// Writes a tar (pax) of directory trees that others made.
#pragma once
#include <sys/stat.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>

struct archive;
struct archive_entry;

namespace engine {

class TarWriter {
public:
    /// Takes the next bytes of the tar. May throw: the exception comes out of the function that wrote.
    using Sink = std::function<void(std::string_view)>;
    explicit TarWriter(Sink sink);
    ~TarWriter();
    TarWriter(const TarWriter&) = delete;
    TarWriter& operator=(const TarWriter&) = delete;

    /// A file of our own making.
    void add_file(const std::string& name, std::string_view content);
    /// What is called `base_name` in the directory, with everything below, as `name`. Symbolic links are written, never
    /// followed; sockets are left out; hard links within the tar are kept. A file that changes meanwhile is written as
    /// long as its size was when it was opened, filled up with zeroes if need be.
    void add_tree(int directory, const std::string& base_name, const std::string& name);
    /// The end marker. Without it the tar is broken off.
    void finish();

private:
    static long on_write(archive* handle, void* self, const void* data, unsigned long size);
    void check(int result);
    void add_entry(int directory, const std::string& base_name, const std::string& name, unsigned depth);
    void add_content(int fd, std::int64_t size, const std::string& name);
    void add_children(int fd, const std::string& name, unsigned depth);

    archive* handle_;
    Sink sink_;
    std::exception_ptr failure_;
    std::map<std::pair<dev_t, ino_t>, std::string> linked_;
};

} // namespace engine
