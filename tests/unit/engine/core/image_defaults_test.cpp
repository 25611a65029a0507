#include "core/image_defaults.hpp"

#include <boost/test/unit_test.hpp>

#include "core/identity.hpp"
#include "engine/engine.hpp"

namespace {

engine::ImageInfo image() {
    engine::ImageInfo info;
    info.id = "sha256:1";
    info.config.entrypoint = {"/entry"};
    info.config.command = {"serve"};
    info.config.env = {"PATH=/bin", "MODE=image"};
    info.config.working_directory = "/srv";
    info.config.user = "www";
    info.config.labels = {{"who", "image"}, {"atoll.system", "network"}};
    info.config.stop_signal = "SIGQUIT";
    return info;
}

using Strings = std::vector<std::string>;

engine::ContainerConfig runnable() {
    engine::ContainerConfig config;
    config.command = {"true"};
    return config;
}

} // namespace

BOOST_AUTO_TEST_SUITE(image_defaults)

BOOST_AUTO_TEST_CASE(what_is_empty_comes_from_the_image) {
    engine::ContainerConfig config;
    config.env = {"MODE=mine"};
    config.labels = {{"who", "me"}};
    engine::apply_image_defaults(config, image());
    BOOST_TEST((config.entrypoint == Strings{"/entry"}));
    BOOST_TEST((config.command == Strings{"serve"}));
    BOOST_TEST((config.env == Strings{"PATH=/bin", "MODE=mine"}));
    BOOST_TEST(config.working_directory == "/srv");
    BOOST_TEST(config.user == "www");
    BOOST_TEST(config.stop_signal == "SIGQUIT");
    BOOST_TEST(config.labels.at("who") == "me");
    BOOST_TEST(!config.labels.contains(engine::system_label)); // an image cannot make itself part of the system
}

BOOST_AUTO_TEST_CASE(an_entrypoint_of_its_own_drops_the_images_command) {
    engine::ContainerConfig config;
    config.entrypoint = {"/mine"};
    engine::apply_image_defaults(config, image());
    BOOST_TEST(config.command.empty());

    engine::ContainerConfig none;
    none.entrypoint = {""};
    none.command = {"x"};
    engine::apply_image_defaults(none, image());
    BOOST_TEST(none.entrypoint.empty());

    engine::ContainerConfig arguments;
    arguments.command = {"other"};
    engine::apply_image_defaults(arguments, image());
    BOOST_TEST((arguments.entrypoint == Strings{"/entry"}));
    BOOST_TEST((arguments.command == Strings{"other"}));
}

BOOST_AUTO_TEST_CASE(what_cannot_work_is_refused) {
    BOOST_CHECK_NO_THROW(engine::check_container_config(runnable()));
    const auto refused = [](auto change) {
        engine::ContainerConfig config = runnable();
        change(config);
        BOOST_CHECK_EXCEPTION(
            engine::check_container_config(config), engine::EngineError,
            [](const engine::EngineError& error) { return error.kind() == engine::ErrorKind::invalid; });
    };
    refused([](auto& c) { c.command.clear(); });
    refused([](auto& c) { c.init = true; });
    refused([](auto& c) { c.stop_signal = "NOSUCH"; });
    refused([](auto& c) { c.cap_add = {"NOT_A_CAP"}; });
    refused([](auto& c) { c.working_directory = "relative"; });
    refused([](auto& c) {
        c.mounts = {{.source = "/x", .volume_name = {}, .target = "/", .propagation = {}, .options = {}}};
    });
    refused([](auto& c) {
        c.mounts = {{.source = "x", .volume_name = {}, .target = "/a", .propagation = {}, .options = {}}};
    });
    refused([](auto& c) {
        engine::ContainerMount mount;
        mount.source = mount.target = "/a";
        c.mounts = {mount, mount};
    });
    refused([](auto& c) { c.pid_mode = "strange"; });
    refused([](auto& c) { c.resources.memory = 1024; });
    refused([](auto& c) {
        c.resources.nano_cpus = 1;
        c.resources.cpu_quota = 1;
    });
    refused([](auto& c) {
        c.auto_remove = true;
        c.restart.kind = engine::RestartPolicy::Kind::always;
    });
}

BOOST_AUTO_TEST_CASE(made_up_names_are_names) {
    for (int i = 0; i < 100; ++i)
        BOOST_TEST(engine::valid_container_name(engine::make_up_name()));
}

BOOST_AUTO_TEST_SUITE_END()
