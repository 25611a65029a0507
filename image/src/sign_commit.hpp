#pragma once
#include <ostree.h>

#include <string>
#include <vector>

#include "image/signing_key.hpp"

namespace image {

/// Signs in an open repository of any mode.
void sign_commit(OstreeRepo* repo, const std::string& commit, const std::vector<SigningKey>& keys);

/// Pulls one commit of a repository of the build host.
void pull_local(OstreeRepo* repo, const std::string& source, const std::string& commit);

} // namespace image
