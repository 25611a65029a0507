// Serves a directory over plain HTTP/1.1 on 127.0.0.1: the update repository of a rig. Guests reach it as
// http://10.0.2.2:PORT. It can fail on purpose, as real servers do.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace qemu {

class FileServer {
public:
    /// Binds to a free port, or to `port`, and serves at once. Throws base::Error.
    explicit FileServer(const std::string& directory, std::uint16_t port = 0);
    ~FileServer();

    std::uint16_t port() const noexcept;
    /// As a guest on QEMU's user network sees it.
    std::string guest_url() const;

    /// Serves another directory from now on.
    void serve(const std::string& directory);
    /// After this many more bytes of bodies every connection is cut off, and new ones are closed at once: a server that
    /// goes away in the middle. nullopt: back to normal.
    void fail_after(std::optional<std::uint64_t> bytes);
    /// Requests answered with 200.
    std::uint64_t served() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace qemu
