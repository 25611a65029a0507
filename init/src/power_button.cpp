#include "power_button.hpp"

#include <fcntl.h>
#include <linux/input.h>
#include <unistd.h>

#include <cerrno>

#include "files.hpp"
#include "log.hpp"

namespace init {

void PowerButton::open() noexcept {
    constexpr int max_events = 32;
    std::size_t count = 0;
    for (int number = 0; number < max_events && count < max_buttons; ++number) {
        const Path name_path("/sys/class/input/event", number, "/device/name");
        Text<64> name;
        if (read_text(name_path.c_str(), name) != 0 || trimmed(name.view()) != "Power Button")
            continue;
        const Path node("/dev/input/event", number);
        buttons_[count].reset(::open(node.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (buttons_[count])
            ++count;
        else
            log_warning("open ", node.view(), " (power button): ", Errno{errno});
    }
}

std::size_t PowerButton::prepare_poll(std::span<pollfd> entries) const noexcept {
    std::size_t count = 0;
    for (const base::UniqueFd& button : buttons_) {
        if (button && count < entries.size())
            entries[count++] = {button.get(), POLLIN, 0};
    }
    return count;
}

bool PowerButton::pressed() noexcept {
    bool pressed = false;
    for (base::UniqueFd& button : buttons_) {
        input_event event;
        ssize_t size = 0;
        while (button && (size = ::read(button.get(), &event, sizeof event)) == static_cast<ssize_t>(sizeof event))
            pressed = pressed || (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1);
        if (button && size < 0 && errno != EAGAIN && errno != EINTR)
            button.reset(); // unplugged
    }
    return pressed;
}

} // namespace init
