#include "audit/audit_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/errors.hpp"

namespace fastmas::audit {
namespace {

// A new file's name is only durable once its directory is.
void synchronise_directory_of(const std::string& path) {
    std::filesystem::path directory = std::filesystem::path(path).parent_path();
    if (directory.empty()) directory = ".";
    const int file = ::open(directory.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::system_error(errno, std::generic_category(), "cannot open the directory of " + path);
    const int result = ::fsync(file);
    const int error = errno;
    ::close(file);
    if (result != 0) throw std::system_error(error, std::generic_category(), "cannot sync the directory of " + path);
}

}  // namespace

AuditWriter::AuditWriter(const std::string& path, std::string_view header_json, bool sync)
    : path_(path), sync_(sync), builder_({}) {
    const std::vector<std::byte> header = make_header(header_json);
    builder_ = BlockBuilder(header);
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), "cannot create the audit file " + path);
    try {
        write(header);
        if (sync_) {
            synchronise();
            synchronise_directory_of(path_);
        }
    } catch (...) {
        close_file();
        throw;
    }
}

AuditWriter::~AuditWriter() {
    try {
        abandon();
    } catch (const std::exception&) {
        // Nobody is left to tell; the missing trailer says it.
    }
}

void AuditWriter::require_open() const {
    if (!failure_.empty()) throw base::InvariantError(failure_);
    if (closed()) throw base::InvariantError("the audit file " + path_ + " is closed; append before close()");
}

void AuditWriter::append(std::uint64_t id, std::int64_t ts_ns, std::uint32_t type, std::uint32_t count,
                         std::span<const std::uint64_t> causes, std::span<const std::byte> payload) {
    if (file_ < 0 || !failure_.empty()) require_open();
    builder_.append(id, ts_ns, type, count, causes, payload);
    if (!builder_.full()) return;
    try {
        seal();
    } catch (const std::system_error&) {
        throw base::InvariantError(failure_);
    }
}

void AuditWriter::flush() {
    require_open();
    if (!builder_.empty()) seal();
}

const Digest& AuditWriter::close() {
    if (closed() && failure_.empty()) return head();
    flush();
    std::array<std::byte, kTrailerBytes> trailer;
    write_trailer({builder_.blocks(), builder_.records(), file_bytes_ + kTrailerBytes, builder_.head()}, trailer);
    write(trailer);
    if (sync_) synchronise();
    close_file();
    return head();
}

void AuditWriter::abandon() {
    if (closed()) return;
    try {
        if (failure_.empty()) flush();
    } catch (...) {
        close_file();
        throw;
    }
    close_file();
}

void AuditWriter::seal() {
    write(builder_.seal());
    if (sync_) synchronise();
}

void AuditWriter::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file_, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            fail("write");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        file_bytes_ += static_cast<std::uint64_t>(written);
    }
}

void AuditWriter::synchronise() {
    // Never tried again after a failure: the kernel may have dropped the pages and would report success.
    if (::fsync(file_) != 0) fail("fsync");
}

void AuditWriter::fail(const char* what) {
    const std::error_code error(errno, std::generic_category());
    failure_ = "the audit file " + path_ + " can take no more: " + what + " failed: " + error.message();
    throw std::system_error(error, failure_);
}

void AuditWriter::close_file() {
    if (file_ >= 0) ::close(std::exchange(file_, -1));
}

}  // namespace fastmas::audit
