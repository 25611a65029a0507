// Small images as `docker save` and OCI tools would write them.
#pragma once
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "tar_builder.hpp"

namespace test {

inline std::string quoted_list(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items)
        text += (text.empty() ? "\"" : ",\"") + item + "\"";
    return "[" + text + "]";
}

/// The configuration of an image with these (uncompressed) layers; `extra` is put into it: `"config":{...},`.
inline std::string image_config(const std::vector<std::string>& layers, const std::string& extra = {}) {
    std::vector<std::string> diff_ids;
    for (const std::string& layer : layers)
        diff_ids.push_back("sha256:" + base::sha256_hex(layer));
    return "{" + extra + R"("architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z",)" +
           R"("rootfs":{"type":"layers","diff_ids":)" + quoted_list(diff_ids) + "}}";
}

inline std::string docker_archive(const std::string& config, const std::vector<std::string>& layers,
                                  const std::vector<std::string>& tags) {
    TarBuilder tar;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        names.push_back(fmt::format("layer{}/layer.tar", i));
        tar.file(names.back(), layers[i]);
    }
    const std::string config_name = base::sha256_hex(config) + ".json";
    tar.file(config_name, config);
    tar.file("manifest.json", fmt::format(R"([{{"Config":"{}","RepoTags":{},"Layers":{}}}])", config_name,
                                          quoted_list(tags), quoted_list(names)));
    return tar.build();
}

/// `blobs` are the layers as they are stored (compressed or not).
inline std::string oci_archive(const std::string& config, const std::vector<std::string>& blobs,
                               const std::string& reference) {
    TarBuilder tar;
    const auto add_blob = [&](const std::string& content) {
        const std::string digest = base::sha256_hex(content);
        tar.file("blobs/sha256/" + digest, content);
        return fmt::format(R"({{"digest":"sha256:{}","size":{}}})", digest, content.size());
    };
    std::string layers;
    for (const std::string& blob : blobs)
        layers += (layers.empty() ? "" : ",") + add_blob(blob);
    const std::string manifest =
        fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})", add_blob(config), layers);
    add_blob(manifest);
    tar.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    tar.file("index.json", fmt::format(R"({{"schemaVersion":2,"manifests":[{{"mediaType":)"
                                       R"("application/vnd.oci.image.manifest.v1+json","digest":"sha256:{}",)"
                                       R"("annotations":{{"io.containerd.image.name":"{}"}}}}]}})",
                                       base::sha256_hex(manifest), reference));
    return tar.build();
}

} // namespace test
