<?php
/* Installs the site; run once, through stock php-fpm, for the database that every tour starts from. */
define('WP_INSTALLING', true);
require __DIR__ . '/wp-config.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
if (!is_blog_installed()) {
    wp_install('Blog under test', 'admin', 'admin@blog.test', true, '', 'a long password');
}
update_option('permalink_structure', '/%postname%/');
update_option('timezone_string', 'UTC');
update_option('comment_moderation', 0);
update_option('comment_previously_approved', 0);
update_user_meta(1, 'show_welcome_panel', 0);
update_user_meta(1, 'community-events-location', ['ip' => '127.0.0.0']);
for ($i = 1; $i <= 12; $i++) {
    wp_insert_post(['post_title' => "Article $i", 'post_status' => 'publish', 'post_author' => 1, 'post_date' => sprintf('2024-03-%02d 10:00:00', $i), 'post_category' => [1], 'tags_input' => ['tag' . $i % 3, '標籤'],
        'post_content' => "<!-- wp:paragraph -->\n<p>Text of article $i, with a “quote”, an &amp; and the word needle" . ($i % 4 ? '' : ' haystack') . ".</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:list --><ul><li>one</li><li>two</li></ul><!-- /wp:list -->"]);
}
wp_insert_post(['post_title' => 'A page', 'post_type' => 'page', 'post_status' => 'publish', 'post_author' => 1, 'post_content' => '[gallery ids=""] Some page.']);
delete_option('rewrite_rules');
wp_schedule_event(time() + 86400, 'daily', 'nothing_at_all');
echo 'installed ', get_bloginfo('version'), ' ', wp_get_theme()->get('Name'), "\n";
