// The desk works without this file. With it a button lets the camera fill in the field. Few browsers read QR codes
// themselves; the others fetch a reader of the same shape once the button is pressed.
(function () {
  "use strict";
  var form = document.querySelector("form[data-scan]");
  if (!form || !navigator.mediaDevices) return;
  var own = window.BarcodeDetector;
  var readers = !own ? Promise.resolve([]) : own.getSupportedFormats().catch(function () { return []; });
  var detecting = function () {
    return readers.then(function (formats) {
      if (formats.indexOf("qr_code") >= 0) return own;
      return import(form.dataset.reader).then(function (reader) { return reader.BarcodeDetector; });
    }).then(function (Detector) { return new Detector({ formats: ["qr_code"] }); });
  };
  var button = form.querySelector("[data-scan-button]");
  button.hidden = false;
  button.addEventListener("click", function () {
    var camera = navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    Promise.all([camera, detecting()]).then(function (both) {
      var stream = both[0], detector = both[1];
      var video = document.createElement("video");
      video.muted = true;
      video.playsInline = true;
      video.srcObject = stream;
      button.after(video);
      button.disabled = true;
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
    }, function () {
      button.hidden = true;
      camera.then(function (stream) { stream.getTracks().forEach(function (track) { track.stop(); }); }, function () {});
    });
  });
})();
