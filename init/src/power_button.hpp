// The machine's power button, which is how a hypervisor asks for an ordered poweroff (ACPI).
#pragma once
#include <poll.h>

#include <array>
#include <cstddef>
#include <span>

#include "base/unique_fd.hpp"

namespace init {

class PowerButton {
public:
    static constexpr std::size_t max_buttons = 4; ///< a machine may have one on the case and one in software

    /// Opens the input devices called "Power Button". The modules `button` and `evdev` are loaded by then.
    void open() noexcept;
    std::size_t prepare_poll(std::span<pollfd> entries) const noexcept;
    /// Whether the button was pressed. Reads what there is.
    bool pressed() noexcept;

private:
    std::array<base::UniqueFd, max_buttons> buttons_;
};

} // namespace init
