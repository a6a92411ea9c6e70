#include "engine/worker_routes.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace ftm::engine {
namespace {

class Routes : public ::testing::Test {
protected:
    void SetUp() override
    {
        std::string name = (std::filesystem::temp_directory_path() / "ftm-routes-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        dir_ = name;
        std::filesystem::create_directories(dir_ / "one");
        std::filesystem::create_directories(dir_ / "two");
        std::ofstream(dir_ / "one/index.php") << "1";
        std::ofstream(dir_ / "two/index.php") << "2";
        std::filesystem::create_directory_symlink("one", dir_ / "current");
        script_ = (dir_ / "current/index.php").string();
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    bool ask(const std::string& path, const std::string& uri = "/")
    {
        request::ParamTable params;
        params.set("SCRIPT_FILENAME", path);
        params.set("REQUEST_URI", uri);
        return routes_.is_worker(params, now_);
    }

    std::filesystem::path dir_;
    std::string script_;
    std::vector<std::string> prefixes_;
    std::int64_t now_ = 1;
    WorkerRoutes routes_{script_, prefixes_};
};

TEST_F(Routes, the_script_by_every_name)
{
    EXPECT_TRUE(ask(script_));
    EXPECT_TRUE(ask((dir_ / "one/index.php").string()));
    EXPECT_TRUE(ask((dir_ / "two/../one/index.php").string()));
    EXPECT_TRUE(ask("proxy:fcgi://localhost:9000" + script_));
    EXPECT_TRUE(ask(script_ + "/path/info"));
    EXPECT_TRUE(ask("proxy:fcgi://localhost" + script_ + "/path/info?a=b"));
    EXPECT_FALSE(ask((dir_ / "two/index.php").string()));
    EXPECT_FALSE(ask((dir_ / "none.php").string()));
    EXPECT_FALSE(ask(dir_.string()));
    EXPECT_FALSE(ask(""));
    EXPECT_FALSE(ask("index.php"));
}

TEST_F(Routes, a_link_that_changes_is_noticed_within_a_second)
{
    const std::string one = (dir_ / "one/index.php").string();
    EXPECT_TRUE(ask(one));
    std::filesystem::remove(dir_ / "current");
    std::filesystem::create_directory_symlink("two", dir_ / "current");
    EXPECT_TRUE(ask(one)) << "still known";
    now_ += 1'000'000;
    EXPECT_FALSE(ask(one));
    EXPECT_TRUE(ask((dir_ / "two/index.php").string()));
}

TEST_F(Routes, prefixes)
{
    prefixes_ = {"/api/", "/app*"};
    EXPECT_TRUE(ask("/nowhere", "/api/x?y"));
    EXPECT_TRUE(ask("/nowhere", "/application"));
    EXPECT_FALSE(ask("/nowhere", "/apis"));
    EXPECT_FALSE(ask("/nowhere", "/?/api/"));
}

TEST_F(Routes, no_script_no_worker)
{
    script_ = "";
    EXPECT_FALSE(ask(""));
}

}  // namespace
}  // namespace ftm::engine
