#include "observe/status_page.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <ctime>

namespace ftm::observe {
namespace {

PoolStatus sample()
{
    PoolStatus status;
    status.pool = "www";
    status.process_manager = "static";
    status.now = 1000100;
    status.start_time = 1000000;
    status.accepted = 12;
    status.queue = {4, 511};
    status.max_queue = 5;
    status.figures = {1, 2};
    status.max_active = 3;
    status.max_children_reached = 6;
    status.slow_requests = 7;
    status.memory_peak = 2097152;
    return status;
}

PoolStatus with_process()
{
    PoolStatus status = sample();
    ProcessStatus process;
    process.pid = 77;
    process.state = SlotState::idle;
    process.start_time = 1000050;
    process.requests = 9;
    process.duration_us = 1234;
    process.content_length = -1;
    process.cpu_percent = 12.345;
    process.memory = 4096;
    std::strcpy(process.text.uri, "/a/<b>\"'\x01");
    std::strcpy(process.text.query, "x=1&y=\xc3\xa4");
    std::strcpy(process.text.method, "GET");
    std::strcpy(process.text.script, "/srv/<x>&.php");
    status.processes = {process, ProcessStatus{}};
    return status;
}

std::string page(const PoolStatus& status, StatusFormat format)
{
    return status_body(status, {.format = format, .full = !status.processes.empty()});
}

class StatusPage : public testing::Test {
protected:
    void SetUp() override
    {
        ::setenv("TZ", "UTC", 1);
        ::tzset();
    }
};

TEST_F(StatusPage, text)
{
    EXPECT_EQ(page(sample(), StatusFormat::text), "pool:                 www\n"
                                                  "process manager:      static\n"
                                                  "start time:           12/Jan/1970:13:46:40 +0000\n"
                                                  "start since:          100\n"
                                                  "accepted conn:        12\n"
                                                  "listen queue:         4\n"
                                                  "max listen queue:     5\n"
                                                  "listen queue len:     511\n"
                                                  "idle processes:       1\n"
                                                  "active processes:     2\n"
                                                  "total processes:      3\n"
                                                  "max active processes: 3\n"
                                                  "max children reached: 6\n"
                                                  "slow requests:        7\n"
                                                  "memory peak:          2097152\n");
}

TEST_F(StatusPage, full_text_is_not_escaped)
{
    const std::string text = page(with_process(), StatusFormat::text);
    EXPECT_EQ(text.substr(text.find("memory peak:")), "memory peak:          2097152\n"
                                                      "\n"
                                                      "************************\n"
                                                      "pid:                  77\n"
                                                      "state:                Idle\n"
                                                      "start time:           12/Jan/1970:13:47:30 +0000\n"
                                                      "start since:          50\n"
                                                      "requests:             9\n"
                                                      "request duration:     1234\n"
                                                      "request method:       GET\n"
                                                      "request URI:          /a/<b>\"'\x01?x=1&y=\xc3\xa4\n"
                                                      "content length:       18446744073709551615\n"
                                                      "user:                 -\n"
                                                      "script:               /srv/<x>&.php\n"
                                                      "last request cpu:     12.35\n"
                                                      "last request memory:  4096\n"
                                                      "\n"
                                                      "************************\n"
                                                      "pid:                  0\n"
                                                      "state:                Idle\n"
                                                      "start time:           01/Jan/1970:00:00:00 +0000\n"
                                                      "start since:          1000100\n"
                                                      "requests:             0\n"
                                                      "request duration:     0\n"
                                                      "request method:       -\n"
                                                      "request URI:          -\n"
                                                      "content length:       0\n"
                                                      "user:                 -\n"
                                                      "script:               -\n"
                                                      "last request cpu:     0.00\n"
                                                      "last request memory:  0\n");
}

TEST_F(StatusPage, html_and_xml_escape_the_uri_only)
{
    const char* uri = "/a/&lt;b&gt;&quot;'\xef\xbf\xbd?x=1&amp;y=\xc3\xa4";
    const std::string html = page(with_process(), StatusFormat::html);
    EXPECT_NE(html.find(std::string("<td>") + uri + "</td>"), std::string::npos) << html;
    EXPECT_NE(html.find("<td>/srv/<x>&.php</td>"), std::string::npos);
    EXPECT_NE(html.find("<table border=\"1\">\n<tr><th>pid</th>"), std::string::npos);
    EXPECT_TRUE(html.ends_with("</tr>\n</table></body></html>"));
    const std::string xml = page(with_process(), StatusFormat::xml);
    EXPECT_NE(xml.find(std::string("<request-uri>") + uri + "</request-uri><content-length>"), std::string::npos) << xml;
    EXPECT_NE(xml.find("<start-time>1000000</start-time>\n<start-since>"), std::string::npos);
    EXPECT_TRUE(xml.ends_with("</process>\n</processes>\n</status>"));
}

TEST_F(StatusPage, json)
{
    const std::string shown = page(with_process(), StatusFormat::json);
    EXPECT_TRUE(shown.starts_with("{\"pool\":\"www\",\"process manager\":\"static\",\"start time\":1000000,\"start since\":100,"));
    EXPECT_NE(shown.find("\"memory peak\":2097152, \"processes\":[{\"pid\":77,\"state\":\"Idle\",\"start time\":1000050,"
                         "\"start since\":50,\"requests\":9,\"request duration\":1234,\"request method\":\"GET\","
                         "\"request uri\":\"\\/a\\/<b>\\\"'\\u0001?x=1&y=\\u00e4\",\"content length\":18446744073709551615,"
                         "\"user\":\"-\",\"script\":\"/srv/<x>&.php\",\"last request cpu\":12.35,\"last request memory\":4096},"
                         "{\"pid\":0,"),
              std::string::npos)
        << shown;
    EXPECT_TRUE(shown.ends_with("}]}"));
    EXPECT_TRUE(page(sample(), StatusFormat::json).ends_with("\"memory peak\":2097152}"));
}

TEST_F(StatusPage, openmetrics_has_one_type_line_before_its_help)
{
    const std::string shown = page(sample(), StatusFormat::openmetrics);
    EXPECT_TRUE(shown.starts_with("# HELP phpfpm_up Could pool www using a static PM on PHP-FPM be reached?\n"
                                  "# TYPE phpfpm_up gauge\nphpfpm_up 1\n"));
    EXPECT_NE(shown.find("# TYPE phpfpm_listen_queue_length gauge\n# HELP phpfpm_listen_queue_length "), std::string::npos);
    EXPECT_TRUE(shown.ends_with("phpfpm_memory_peak 2097152\n# EOF\n"));
}

TEST_F(StatusPage, workers_stand_behind_php_fpms_fields)
{
    PoolStatus status = with_process();
    status.processes[0].worker = {WorkerState::ready, RestartReason::exit, 5, 2, 1500, 4096};
    status.workers.emplace();
    status.workers->script = "/srv/<a>\"b.php";
    status.workers->ready = 1;
    status.workers->busy = 2;
    status.workers->queue = 3;
    status.workers->restarts[static_cast<std::size_t>(RestartReason::watch)] = 4;
    const std::string text = page(status, StatusFormat::text);
    EXPECT_NE(text.find("memory peak:          2097152\nworker script:        /srv/<a>\"b.php\ntotal workers:        3\n"),
              std::string::npos);
    EXPECT_NE(text.find("last request memory:  4096\nworker state:         ready\nworker requests:      5\n"
                        "worker restarts:      2\nworker last restart:  exit\nworker boot time:     1500\n"),
              std::string::npos);
    const std::string xml = page(status, StatusFormat::xml);
    EXPECT_NE(xml.find("<worker-script>/srv/&lt;a&gt;&quot;b.php</worker-script>"), std::string::npos);
    EXPECT_NE(page(status, StatusFormat::json).find("\"worker restarts\":4"), std::string::npos);
    const std::string metrics = page(status, StatusFormat::openmetrics);
    EXPECT_NE(metrics.find("phpfpm_worker_queue_depth{worker=\"/srv/<a>\\\"b.php\"} 3\n"), std::string::npos);
    EXPECT_NE(metrics.find("phpfpm_worker_restarts{worker=\"/srv/<a>\\\"b.php\",reason=\"watch\"} 4\n"),
              std::string::npos);
}

TEST_F(StatusPage, text_that_is_not_utf8)
{
    PoolStatus status = with_process();
    std::strcpy(status.processes[0].text.uri, "/\xff\xe2\x82z");
    status.processes[0].text.query[0] = '\0';
    EXPECT_NE(page(status, StatusFormat::xml).find("<request-uri></request-uri>"), std::string::npos);
    EXPECT_NE(page(status, StatusFormat::json).find("\"request uri\":\"\\/z\""), std::string::npos);
    std::strcpy(status.processes[0].text.uri, "\xf0\x9f\x98\x80\xed\xa0\x80!");
    EXPECT_NE(page(status, StatusFormat::json).find("\"request uri\":\"\\ud83d\\ude00!\""), std::string::npos);
}

TEST(StatusQuery, is_read_like_get)
{
    const auto format = [](std::string_view query) { return parse_status_query(query).format; };
    EXPECT_EQ(format(""), StatusFormat::text);
    EXPECT_EQ(format("json"), StatusFormat::json);
    EXPECT_EQ(format("json=0&xml"), StatusFormat::xml);
    EXPECT_EQ(format("openmetrics&json&xml=&html"), StatusFormat::html);
    EXPECT_EQ(format("a=b&js%6Fn[]=1"), StatusFormat::json);
    EXPECT_EQ(format("+json"), StatusFormat::json);
    EXPECT_EQ(format("xml%00x"), StatusFormat::xml);
    EXPECT_EQ(format("JSON"), StatusFormat::text);
    EXPECT_EQ(format("json["), StatusFormat::text);
    EXPECT_EQ(format("a=json;xml"), StatusFormat::text);
    EXPECT_TRUE(parse_status_query("full=0").full);
    EXPECT_TRUE(parse_status_query("html&full").full);
    EXPECT_FALSE(parse_status_query("fullest").full);
    EXPECT_FALSE(parse_status_query("full&openmetrics").full);
}

TEST(PoolStatus, maxima_are_never_below_what_is_now)
{
    Scoreboard board = Scoreboard::create("www", 4);
    for (int i = 0; i < 3; ++i) {
        board.acquire()->state.store(static_cast<std::uint32_t>(SlotState::running));
    }
    PoolStatus status = read_status(board, "static", {7, 9}, false);
    EXPECT_EQ(status.max_queue, 7U);
    EXPECT_EQ(status.max_active, 3U);
    EXPECT_TRUE(status.processes.empty());
    board.slot(0).state.store(static_cast<std::uint32_t>(SlotState::idle));
    status = read_status(board, "static", {0, 9}, true);
    EXPECT_EQ(status.max_queue, 7U);
    EXPECT_EQ(status.max_active, 3U);
    EXPECT_EQ(status.processes.size(), 3U);
}

TEST(PoolStatus, cpu_and_memory_are_the_last_requests)
{
    Scoreboard board = Scoreboard::create("www", 1);
    Slot& slot = *board.acquire();
    slot.cpu_us.store(250);
    slot.cpu_duration_us.store(1000);
    slot.memory_peak.store(5);
    slot.duration_us.store(900);
    const ProcessStatus idle = read_status(board, "static", {}, true).processes.at(0);
    EXPECT_DOUBLE_EQ(idle.cpu_percent, 25.0);
    EXPECT_EQ(idle.memory, 5U);
    EXPECT_EQ(idle.duration_us, 900);
    slot.state.store(static_cast<std::uint32_t>(SlotState::running));
    const ProcessStatus running = read_status(board, "static", {}, true).processes.at(0);
    EXPECT_DOUBLE_EQ(running.cpu_percent, 0.0);
    EXPECT_EQ(running.memory, 0U);
    EXPECT_GT(running.duration_us, 900);
}

}  // namespace
}  // namespace ftm::observe
