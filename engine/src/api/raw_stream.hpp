// Carries a container's (or exec's) streams over a connection that was taken over from HTTP.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "api/call.hpp"

namespace engine::api {

/// Docker's frame: stream number, three zeroes, the length as four bytes, most significant first. A terminal has one
/// stream and no frames.
std::string stream_frame(StdStream stream, std::string_view data, bool tty);

/// The media type of a stream of this kind.
std::string_view stream_type(const Call& call, bool tty);

struct Detach {
    std::string keys; ///< bytes; empty: none
};
/// "ctrl-p,ctrl-q", "a,b,ctrl-]" -> bytes. Throws HttpError 400.
Detach parse_detach_keys(const std::string& text);

/// Finds the key sequence in what a terminal's client types.
class DetachFilter {
public:
    explicit DetachFilter(Detach detach) : keys_(std::move(detach.keys)) {}
    /// What goes on to the container; sets `detached` once the sequence is complete.
    std::string pass(std::string_view data);
    bool detached() const noexcept { return detached_; }

private:
    std::string keys_;
    std::size_t matched_ = 0;
    bool detached_ = false;
};

/// Answers 101 (or 200 to a client that asked for no upgrade) and carries the streams until the output ends, the
/// client goes away, or it detaches.
void carry_streams(Call& call, std::shared_ptr<Attachment> attachment, bool tty, bool with_stdin);

} // namespace engine::api
