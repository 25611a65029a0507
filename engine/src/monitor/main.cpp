#include "monitor/monitor.hpp"

int main(int argc, char** argv) {
    engine::monitor::Options options;
    if (const int code = engine::monitor::parse_options(argc, argv, options); code != 0)
        return code - 1;
    return engine::monitor::Monitor(std::move(options)).run();
}
