// Modules cannot be loaded from file://, so this is said by a script that is none.
if (location.protocol === "file:") {
  addEventListener("DOMContentLoaded", () => {
    document.querySelector("[role=tablist]").hidden = true;
    document.querySelector("main").innerHTML = "<p class=notice>This page has to come from a web server. "
      + "In its folder, run <code>python -m http.server</code> and open the address that it prints.</p>";
  });
}
