#include "fcgi/writer.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"

namespace ftm::fcgi {

void write_header(char* out, RecordType type, std::uint16_t id, std::uint16_t content_length,
                  std::uint8_t padding) noexcept
{
    FCGI_Header header{};
    header.version = kVersion;
    header.type = static_cast<unsigned char>(type);
    header.requestIdB1 = static_cast<unsigned char>(id >> 8);
    header.requestIdB0 = static_cast<unsigned char>(id & 0xff);
    header.contentLengthB1 = static_cast<unsigned char>(content_length >> 8);
    header.contentLengthB0 = static_cast<unsigned char>(content_length & 0xff);
    header.paddingLength = padding;
    std::memcpy(out, &header, sizeof header);
}

std::array<char, kEndRecordBytes> end_request_record(std::uint16_t id, std::uint32_t app_status,
                                                     ProtocolStatus status) noexcept
{
    FCGI_EndRequestBody body{};
    body.appStatusB3 = static_cast<unsigned char>(app_status >> 24);
    body.appStatusB2 = static_cast<unsigned char>(app_status >> 16 & 0xff);
    body.appStatusB1 = static_cast<unsigned char>(app_status >> 8 & 0xff);
    body.appStatusB0 = static_cast<unsigned char>(app_status & 0xff);
    body.protocolStatus = static_cast<unsigned char>(status);

    std::array<char, kEndRecordBytes> record;
    write_header(record.data(), RecordType::end_request, id, sizeof body, 0);
    std::memcpy(record.data() + kHeaderBytes, &body, sizeof body);
    return record;
}

std::array<char, kUnknownTypeRecordBytes> unknown_type_record(std::uint8_t type) noexcept
{
    FCGI_UnknownTypeBody body{};
    body.type = type;

    std::array<char, kUnknownTypeRecordBytes> record;
    write_header(record.data(), RecordType::unknown_type, kManagementId, sizeof body, 0);
    std::memcpy(record.data() + kHeaderBytes, &body, sizeof body);
    return record;
}

void append_stream(std::string& out, RecordType type, std::uint16_t id, std::string_view data)
{
    while (!data.empty()) {
        const std::size_t length = std::min(data.size(), kMaxSentContentBytes);
        const std::uint8_t padding = padding_for(length);
        std::array<char, kHeaderBytes> header;
        write_header(header.data(), type, id, static_cast<std::uint16_t>(length), padding);
        out.append(header.data(), header.size());
        out.append(data.substr(0, length));
        out.append(padding, '\0');
        data.remove_prefix(length);
    }
}

std::size_t frame_in_place(char* header, RecordType type, std::uint16_t id, std::size_t content_length) noexcept
{
    FTM_CHECK(content_length > 0 && content_length <= kMaxSentContentBytes);
    const std::uint8_t padding = padding_for(content_length);
    write_header(header, type, id, static_cast<std::uint16_t>(content_length), padding);
    std::memset(header + kHeaderBytes + content_length, 0, padding);
    return kHeaderBytes + content_length + padding;
}

}  // namespace ftm::fcgi
