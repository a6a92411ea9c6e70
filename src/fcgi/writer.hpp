// Encodes the records we send (FastCGI Specification 3.3, 5.3, 5.5) into the caller's memory. Output streams look as
// php-fpm writes them: content of at most 65528 bytes, padded with zeros to a multiple of 8, no empty record at the
// end of a stream. Pure functions, any thread; sizes are bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fcgi/protocol.hpp"

namespace ftm::fcgi {

// Bytes that round a content up to a multiple of 8.
[[nodiscard]] constexpr std::uint8_t padding_for(std::size_t content_length) noexcept
{
    return static_cast<std::uint8_t>((8 - content_length % 8) % 8);
}

// Writes kHeaderBytes at out.
void write_header(char* out, RecordType type, std::uint16_t id, std::uint16_t content_length,
                  std::uint8_t padding) noexcept;

[[nodiscard]] std::array<char, kEndRecordBytes> end_request_record(std::uint16_t id, std::uint32_t app_status,
                                                                   ProtocolStatus status) noexcept;
[[nodiscard]] std::array<char, kUnknownTypeRecordBytes> unknown_type_record(std::uint8_t type) noexcept;

// Appends data as one or more records; nothing when data is empty.
void append_stream(std::string& out, RecordType type, std::uint16_t id, std::string_view data);

// Frames content that already lies behind a reserved header, without copying it. The caller's buffer is
//   header[0 .. 8) reserved | content_length bytes | room for padding_for(content_length) bytes
// Returns the size of the whole record. content_length is 1 .. kMaxSentContentBytes (checked).
std::size_t frame_in_place(char* header, RecordType type, std::uint16_t id, std::size_t content_length) noexcept;

// Bytes to allocate for a buffer that frame_in_place can frame with up to content_bytes of content.
[[nodiscard]] constexpr std::size_t framed_capacity(std::size_t content_bytes) noexcept
{
    return kHeaderBytes + content_bytes + padding_for(content_bytes);
}

}  // namespace ftm::fcgi
