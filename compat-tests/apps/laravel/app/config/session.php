<?php

// A load test leaves thousands of sessions.
return ['lottery' => [0, 100]];
