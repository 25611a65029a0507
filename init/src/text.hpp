// Text in fixed buffers, for code that must neither allocate nor throw.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace init {

/// An errno value, printed as its description ("No such file or directory").
struct Errno {
    int value;
};

/// Printed as 16 hexadecimal digits.
struct Hex {
    std::uint64_t value;
};

/// Appends to a buffer that somebody else owns. What does not fit is cut off; the text is always NUL-terminated.
class TextBuffer {
public:
    TextBuffer(char* data, std::size_t capacity) noexcept : data_(data), capacity_(capacity) { data_[0] = '\0'; }

    TextBuffer& add(std::string_view text) noexcept;
    TextBuffer& add(const char* text) noexcept { return add(std::string_view(text)); }
    TextBuffer& add(char character) noexcept { return add(std::string_view(&character, 1)); }
    TextBuffer& add(Errno error) noexcept;
    TextBuffer& add(Hex number) noexcept;
    template <std::integral T>
    TextBuffer& add(T number) noexcept {
        if constexpr (std::signed_integral<T>)
            return add_number(number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number),
                              number < 0);
        else
            return add_number(number, false);
    }
    template <typename... Parts>
    TextBuffer& put(const Parts&... parts) noexcept {
        (add(parts), ...);
        return *this;
    }

    void clear() noexcept {
        size_ = 0;
        truncated_ = false;
        data_[0] = '\0';
    }
    std::string_view view() const noexcept { return {data_, size_}; }
    const char* c_str() const noexcept { return data_; }
    bool empty() const noexcept { return size_ == 0; }
    bool truncated() const noexcept { return truncated_; }

private:
    TextBuffer& add_number(std::uint64_t number, bool negative) noexcept;
    char* data_;
    std::size_t capacity_; ///< with the NUL
    std::size_t size_ = 0;
    bool truncated_ = false;
};

/// A text of at most N - 1 bytes.
template <std::size_t N>
class Text : public TextBuffer {
public:
    Text() noexcept : TextBuffer(storage_, N) {}
    template <typename... Parts>
    explicit Text(const Parts&... parts) noexcept : TextBuffer(storage_, N) {
        put(parts...);
    }
    Text(const Text& other) noexcept : TextBuffer(storage_, N) { add(other.view()); }
    Text& operator=(const Text& other) noexcept {
        if (this != &other) {
            clear();
            add(other.view());
        }
        return *this;
    }
    void assign(std::string_view text) noexcept {
        clear();
        add(text);
    }

private:
    char storage_[N];
};

/// A path: PATH_MAX with the NUL.
using Path = Text<4096>;

/// Cuts the part before `separator` off `rest`: nullopt at the end of the text. An empty part is a part.
std::optional<std::string_view> next_part(std::string_view& rest, char separator) noexcept;
/// Without blanks, tabs and line ends at both sides.
std::string_view trimmed(std::string_view text) noexcept;
/// text without its first `count` characters; empty when there are fewer.
std::string_view skip(std::string_view text, std::size_t count) noexcept;
/// A whole decimal number without sign.
std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;
/// Copies into a char array of a protocol struct, cut off and NUL-terminated.
void copy_text(char* destination, std::size_t size, std::string_view text) noexcept;

} // namespace init
