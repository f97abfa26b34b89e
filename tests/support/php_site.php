<?php
// A small site with a login in PHP's session, as many are: forms, a redirect, an upload.
session_set_cookie_params(['httponly' => true]);
session_start();
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if ($path === '/login') {
        session_regenerate_id(true);
        $_SESSION['user'] = $_POST['name'];
    } elseif ($path === '/logout') {
        session_destroy();
        setcookie(session_name(), '', 1);
    } elseif ($path === '/upload' && isset($_SESSION['user'])) {
        $_SESSION['uploaded'] = $_FILES['file']['name'] . ' ' . sha1_file($_FILES['file']['tmp_name']);
    }
    header('Location: /', true, 303);
    exit;
}
setcookie('seen', '1');
?>
<!doctype html>
<title>PHP</title>
<?php if (isset($_SESSION['user'])) { ?>
<p id="user">Hello <?= htmlspecialchars($_SESSION['user']) ?></p>
<p id="uploaded"><?= htmlspecialchars($_SESSION['uploaded'] ?? '') ?></p>
<form action="/upload" method="post" enctype="multipart/form-data">
<input type="file" name="file"><button>Upload</button></form>
<form action="/logout" method="post"><button>Log out</button></form>
<?php } else { ?>
<form action="/login" method="post"><input name="name"><button>Log in</button></form>
<?php } ?>
