// Whatever a client sends, the connection ends without a crash and every answer is HTTP. And whatever a server answers,
// the client ends with an answer within its limit, or an error.
#include <cstring>

#include "answer.hpp"
#include "base/error.hpp"
#include "connection.hpp"

namespace {

class Input final : public base::http::Stream {
public:
    explicit Input(std::string_view data) : data_(data) {}
    std::size_t read(char* buffer, std::size_t size) override {
        const std::size_t count = std::min({size, data_.size(), std::size_t{97}}); // parts, as a network gives
        std::memcpy(buffer, data_.data(), count);
        data_.remove_prefix(count);
        return count;
    }
    void write(std::string_view data) override { written_ += data; }
    void shutdown_write() noexcept override {}
    void abort() noexcept override {}
    int fd() const noexcept override { return -1; }
    const std::string& written() const { return written_; }

private:
    std::string_view data_;
    std::string written_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input stream({reinterpret_cast<const char*>(data), size});
    base::http::serve_connection(stream, {}, [](base::http::Request& request, base::http::Response& response) {
        response.send(200, request.body(1000) + request.query_value("a") + request.header("Host"), "text/plain");
    });
    if (!stream.written().empty() && !stream.written().starts_with("HTTP/1.1 "))
        __builtin_trap();
    Input answer({reinterpret_cast<const char*>(data), size});
    base::http::ClientRequest request;
    request.limit = 100;
    try {
        if (base::http::read_answer(answer, request).body.size() > request.limit)
            __builtin_trap();
    } catch (const base::Error&) {
    }
    return 0;
}
