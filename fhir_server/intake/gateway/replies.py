"""Pure: the JSON the gateway answers with. Every field is always there; what is unknown is "" or [] or {}, never null."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

# code -> HTTP status, and what is said unless the refusal says something closer to the case.
REFUSALS: dict[str, tuple[int, str]] = {
    "INVALID_REQUEST": (400, "Yêu cầu không hợp lệ"),
    "INVALID_XML": (400, "Không đọc được XML"),
    "MISSING_FIELD": (400, "Thiếu thông tin bắt buộc"),
    "INVALID_CREDENTIALS": (401, "Sai tên đăng nhập hoặc mật khẩu, hoặc tài khoản đã khóa"),
    "INVALID_TOKEN": (401, "Token thiếu, sai hoặc đã hết hạn; hãy đăng nhập lại"),
    "ORG_MISMATCH": (403, "Mã cơ sở trong dữ liệu không thuộc đơn vị của tài khoản"),
    "NOT_FOUND": (404, "Chưa từng nhận hồ sơ này"),
    "OPERATION_REJECTED": (409, "Không thực hiện được thao tác với hồ sơ này"),
    "REQUEST_ID_CONFLICT": (409, "Mã yêu cầu này đã dùng cho một nội dung khác"),
    "KSK_LEGACY_API_DISABLED": (410, "API QĐ 2062 đã ngừng từ 18/09/2026"),
    "PAYLOAD_TOO_LARGE": (413, "Dữ liệu lớn hơn 10 MiB; hãy chia nhỏ"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Hãy gửi XML với Content-Type: application/xml"),
    "TOO_MANY_ATTEMPTS": (429, "Đăng nhập sai quá nhiều lần; hãy thử lại sau"),
    "SYSTEM_ERROR": (500, "Lỗi của hệ thống; hãy gửi lại sau"),
    "NOT_IMPLEMENTED": (501, "Máy chủ này chưa hỗ trợ API này"),
    "SERVICE_NOT_AVAILABLE": (503, "Dịch vụ chưa sẵn sàng; hãy gửi lại sau"),
}
ACCEPTED = {
    "ACCEPTED": "Đã tiếp nhận, chờ xử lý. Tra cứu trạng thái để biết kết quả kiểm tra",
    "ACCEPTED_WITH_WARNING": "Đã tiếp nhận, có cảnh báo, chờ xử lý. Tra cứu trạng thái để biết kết quả kiểm tra",
    "ACCEPTED_DUPLICATE": "Nội dung này đã được tiếp nhận trước đó; không xử lý lại",
}


class Refusal(Exception):
    """A call that is not carried out: `code` is one of REFUSALS."""

    def __init__(
        self, code: str, message: str = "", data: Data | None = None, *, headers: dict[str, str] | None = None
    ) -> None:
        self.status, standard = REFUSALS[code]
        self.code = code
        self.message = message or standard
        self.data = data or {}
        self.headers = headers or {}
        super().__init__(code)


def succeeded(data: Data, *, code: str = "SUCCESS", message: str = "Thành công") -> Data:
    """The answer to a call that was carried out."""
    return {"success": True, "code": code, "message": message, "data": data}


def accepted(code: str, tracking_id: str, warnings: list[Data]) -> Data:
    """The answer to a body that was stored: `code` is one of ACCEPTED."""
    data = {"tracking_id": tracking_id, "warnings": warnings}
    return succeeded(data, code=code, message=ACCEPTED[code])


def refused(refusal: Refusal) -> Data:
    """The answer to a call that is not carried out."""
    return {"success": False, "code": refusal.code, "message": refusal.message, "data": refusal.data}


def place(table: str, row: str, field: str) -> str:
    """`field_path` of an error: table, row (from 1) and field, as far as they are known: `XML4/3/GIA_TRI`."""
    return "/".join(part for part in (table, row, field) if part)
