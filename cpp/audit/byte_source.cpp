#include "audit/byte_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace fastmas::audit {

std::size_t MemorySource::read(std::uint64_t offset, std::span<std::byte> out) {
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min(out.size(), bytes_.size() - static_cast<std::size_t>(offset));
    if (count > 0) std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
}

FileSource::FileSource(const std::string& path) : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), "cannot open the audit file " + path);
    struct stat status {};
    const bool known = ::fstat(file_, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
        const int error = known ? EINVAL : errno;
        ::close(file_);
        throw std::system_error(error, std::generic_category(), "an audit is a regular file, which is not " + path);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
}

FileSource::~FileSource() {
    ::close(file_);
}

std::size_t FileSource::read(std::uint64_t offset, std::span<std::byte> out) {
    std::size_t total = 0;
    while (total < out.size()) {
        const ssize_t count =
            ::pread(file_, out.data() + total, out.size() - total, static_cast<off_t>(offset + total));
        if (count < 0) {
            if (errno == EINTR) continue;
            throw std::system_error(errno, std::generic_category(), "cannot read the audit file " + path_);
        }
        if (count == 0) break;
        total += static_cast<std::size_t>(count);
    }
    return total;
}

}  // namespace fastmas::audit
