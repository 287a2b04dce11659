// The desk works without this file. Where the browser can read QR codes, a button lets its camera fill in the field.
(function () {
  "use strict";
  var form = document.querySelector("form[data-scan]");
  if (!form || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;
  var button = form.querySelector("[data-scan-button]");
  button.hidden = false;
  button.addEventListener("click", function () {
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(function (stream) {
      var video = document.createElement("video");
      video.muted = true;
      video.playsInline = true;
      video.srcObject = stream;
      button.after(video);
      button.disabled = true;
      var detector = new BarcodeDetector({ formats: ["qr_code"] });
      var stop = function () {
        stream.getTracks().forEach(function (track) { track.stop(); });
        video.remove();
        button.disabled = false;
      };
      var look = function () {
        detector.detect(video).then(function (codes) {
          if (!codes.length) return void setTimeout(look, 200);
          stop();
          form.elements[form.dataset.scan].value = codes[0].rawValue;
          form.requestSubmit(form.querySelector("button:not([type=button])"));
        }, stop);
      };
      video.play().then(look, stop);
    }, function () { button.hidden = true; });
  });
})();
